"""What makes a book sensitive; the keyword lists of the published benchmark.

Fields: ``title``, ``description``, ``shelves`` (a name that readers gave a shelf a line) and
``genres`` (a genre a line, from the file of genres where it is used).
"""

from erase_ray.datasets._keywords import Keywords, Rule
from erase_ray.datasets._rules_books import EXPLICIT, HEALTH, VIOLENCE

FIELDS = ("title", "description", "shelves", "genres")


def _anywhere(keywords: Keywords, min_signals: int) -> Rule:
    return Rule(dict.fromkeys(FIELDS, keywords), min_signals)


RULES = {
    "mental_health": _anywhere(
        Keywords(
            words=HEALTH.words,
            parts=(*HEALTH.parts, "disorder", "anorexia", "bulimia", "eating disorder"),
        ),
        min_signals=2,
    ),
    "violence": _anywhere(VIOLENCE, min_signals=2),
    "explicit": _anywhere(EXPLICIT, min_signals=1),
}
"""By category."""
