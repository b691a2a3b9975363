"""Raw files of a made-up grocer in the format of Amazon Reviews 2023."""

from pathlib import Path
from typing import Any

from erase_ray.datasets._rules_amazon import GROCERY_RULES
from erase_ray.datasets._synthetic._amazon import Shop, write_shop
from erase_ray.datasets._synthetic._amazon_truth import Reading, truth_of
from erase_ray.datasets._synthetic._world import draw_ratings

FIELDS = (
    "main_category",
    "categories",
    "title",
    "description",
    "features",
    "details",
    "store",
)
"""Where the keyword of a sensitive family is, in turn."""
TRAPS = (
    "Gingerbread Men",
    "GRAHAM Crackers",
    "Drumsticks of Ice",
    "Meatless Crumbles",
    "Non-Alcoholic Cider",
    "Hamper of Crème Brûlée",
    "Lambs' Lettuce",
    "抹茶 Matcha 😀",
    'Tea "No. 1", 20 count',
)
"""Titles that hold a keyword inside another word, or none."""


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``Grocery_and_Gourmet_Food.jsonl.gz`` and ``meta_...``: about 7,000 x scale reviews."""
    write_shop(SHOP, draw_ratings(scale, seed, SHOP.categories), out, seed)


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What a reader must find in these files, from the plainest possible code."""
    return truth_of(raw, READING)


def _describe(number: int, categories: set[str]) -> dict[str, Any]:
    """The metadata of a family, with a keyword of each category in one field."""
    found: dict[str, Any] = {
        "main_category": None if number % 13 == 0 else "Grocery",
        "title": None if number % 23 == 0 else f"{TRAPS[number % len(TRAPS)]} {number}",
        "average_rating": 4.5,
        "rating_number": number,
        "features": None if number % 8 == 0 else ["Keeps fresh", "Brumal wrap"],
        "description": [] if number % 7 == 0 else ["Good for you.", "Grown by Edward & Sons"],
        "price": (None, 9.99, "12.50")[number % 3],
        "images": [{"thumb": None, "variant": "MAIN"}],
        "videos": [],
        "store": None if number % 11 == 0 else f"Wineberry Valley {number % 17}",
        "categories": [] if number % 17 == 0 else ["Grocery & Gourmet Food", "Pantry"],
        "details": _details(number),
        "bought_together": None,
    }
    for name in sorted(categories):
        words = GROCERY_RULES[name].fields["text"].words
        _put(found, FIELDS[number % len(FIELDS)], _cased(words[number % len(words)], number))
    return found


def _details(number: int) -> dict[str, Any] | None:
    if number % 19 == 0:
        return None
    # a keyword in a name, not in a value
    details: dict[str, Any] = {"Wine Type": "none", "Item Weight": "8 ounces"}
    if number % 4 == 0:
        details["Best Sellers Rank"] = {"Grocery & Gourmet Food": number, "Teas": 7}
    return details


def _put(found: dict[str, Any], field: str, word: str) -> None:
    text = f"Our ({word})!"
    if field == "details":
        found[field] = {**(found[field] or {}), f"Style of {word}": text}
    elif field in ("categories", "description", "features"):
        found[field] = [*(found[field] or []), text]
    else:
        found[field] = f"{found[field] or ''} {text}"


def _cased(word: str, number: int) -> str:
    return (word, word.upper(), word.title())[number // len(FIELDS) % 3]


SHOP = Shop("Grocery_and_Gourmet_Food", ("meat", "alcohol"), 10, _describe)
READING = Reading(
    stem=SHOP.stem,
    min_rating=3.5,
    fields={"text": FIELDS},
    rules=GROCERY_RULES,
    has_sessions=False,
)
