"""What makes a book sensitive; the keyword lists of the published benchmark.

Fields: ``title``, ``description``, ``shelves`` (a name that readers gave a shelf a line) and
``genres`` (a genre a line, from the file of genres where it is used).
"""

from erase_ray.datasets._keywords import Keywords, Rule

FIELDS = ("title", "description", "shelves", "genres")


def _anywhere(keywords: Keywords, min_signals: int) -> Rule:
    return Rule(dict.fromkeys(FIELDS, keywords), min_signals)


RULES = {
    "mental_health": _anywhere(
        Keywords(
            words=("suicide", "depression", "anxiety", "trauma", "ptsd"),
            parts=(
                "mental health",
                "mental illness",
                "self harm",
                "self-harm",
                "therapy",
                "psychiatric",
                "breakdown",
                "bipolar",
                "schizophrenia",
                "medication",
                "overdose",
                "cutting",
                "grief",
                "bereavement",
                "disorder",
                "anorexia",
                "bulimia",
                "eating disorder",
            ),
        ),
        min_signals=2,
    ),
    "violence": _anywhere(
        Keywords(
            words=("murder", "violence", "war", "torture", "abuse", "assault"),
            parts=(
                "weapon",
                "blood",
                "kill",
                "death",
                "gun",
                "shoot",
                "attack",
                "revenge",
                "massacre",
                "slaughter",
                "rape",
                "sexual assault",
            ),
        ),
        min_signals=2,
    ),
    "explicit": _anywhere(
        Keywords(
            words=("sex", "erotic", "porn", "nude"),
            parts=(
                "explicit",
                "adult",
                "sexual",
                "xxx",
                "nsfw",
                "uncensored",
                "sensual",
                "nudity",
                "erotica",
            ),
        ),
        min_signals=1,
    ),
}
"""By category."""
