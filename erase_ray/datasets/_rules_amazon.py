"""What makes an Amazon product sensitive; the keyword lists of the published benchmark.

Fields of groceries: ``text``, everything that is said about a product (main category, categories,
title, description, features, values of the details, store), a value a line. Fields of books:
``title``, ``description``, ``categories`` and ``facts`` (features and values of the details); a
value a line. Category names and facts count by whole words only.

Known to be too wide: ``meat`` takes "meat free", parts such as "gun" take "begun".
"""

from erase_ray.datasets._keywords import Keywords, Rule
from erase_ray.datasets._rules_books import EXPLICIT, HEALTH, VIOLENCE

GROCERY_RULES = {
    "meat": Rule(
        {
            "text": Keywords(
                words=(
                    "meat",
                    "beef",
                    "pork",
                    "chicken",
                    "lamb",
                    "turkey",
                    "bacon",
                    "ham",
                    "sausage",
                    "salami",
                )
            )
        }
    ),
    "alcohol": Rule(
        {
            "text": Keywords(
                words=(
                    "alcohol",
                    "beer",
                    "wine",
                    "liquor",
                    "whisky",
                    "whiskey",
                    "vodka",
                    "gin",
                    "rum",
                    "bourbon",
                    "tequila",
                    "brandy",
                    "cognac",
                    "ipa",
                    "pilsner",
                    "champagne",
                    "prosecco",
                )
            )
        }
    ),
}


def _of_books(both: Keywords, min_signals: int) -> Rule:
    whole = Keywords(words=both.words)
    fields = {"title": both, "description": both, "categories": whole, "facts": whole}
    return Rule(fields, min_signals)


BOOK_RULES = {
    "health": _of_books(HEALTH, min_signals=2),
    "violence": _of_books(VIOLENCE, min_signals=2),
    "explicit": _of_books(EXPLICIT, min_signals=1),
}
