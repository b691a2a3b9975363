"""Raw files of a made-up bookseller in the format of Amazon Reviews 2023."""

from pathlib import Path
from typing import Any

from erase_ray.datasets._rules_amazon import BOOK_RULES
from erase_ray.datasets._synthetic._amazon import Shop, write_shop
from erase_ray.datasets._synthetic._amazon_truth import Reading, truth_of
from erase_ray.datasets._synthetic._world import draw_sessions

TRAPS = (
    "Edward and the Grapes",
    "Well Begun",
    "Depression Glass",
    "Anxiety, ANXIETY, Anxiety",
    "The Warden of Warsaw",
    "Skills of the Sea",
    "Sussex Sextet",
    'Étude "No. 1"',
    "War",
)
"""Titles that give no signal, or one to a rule that takes two."""
PAIRS = (
    ("title", "description"),
    ("title", "categories"),
    ("description", "features"),
    ("title", "details"),
    ("categories", "details"),
    ("description", "categories"),
)
"""Where the two keywords of a sensitive family are, in turn."""


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``Books.jsonl.gz`` and ``meta_Books.jsonl.gz``: about 7,500 x scale reviews."""
    write_shop(SHOP, draw_sessions(scale, seed, SHOP.categories), out, seed)


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What a reader must find in these files, from the plainest possible code."""
    return truth_of(raw, READING)


def _describe(number: int, categories: set[str]) -> dict[str, Any]:
    """The metadata of a family, with two keywords of each category."""
    title = f"Garden {number}" if categories else f"{TRAPS[number % len(TRAPS)]} {number}"
    found: dict[str, Any] = {
        "main_category": None if number % 13 == 0 else "Books",
        "title": None if number % 23 == 0 and not categories else title,
        "subtitle": f"Paperback, {number}",
        "author": None if number % 5 else {"avatar": "x", "name": "A. Murder", "about": ["war"]},
        "average_rating": 4.5,
        "rating_number": number,
        "features": None if number % 8 == 0 else ["A story of a garden", "by the sea"],
        "description": [] if number % 7 == 0 else ["Café tales.", "For the whole family"],
        "price": (None, 9.99, "—")[number % 3],
        "images": [],
        "videos": [],
        "store": None if number % 11 == 0 else "War Torture (Author)",
        # parts do not count here
        "categories": [] if number % 17 == 0 else ["Books", "Therapy", "Bloodlines"],
        "details": _details(number),
        "bought_together": None,
    }
    for name in sorted(categories):
        first, second = PAIRS[number % len(PAIRS)]
        _put(found, first, _keyword(name, number, first))
        _put(found, second, _keyword(name, number + 1, second))
    return found


def _details(number: int) -> dict[str, Any] | None:
    if number % 19 == 0:
        return None
    # a keyword in a name, parts in a value
    details: dict[str, Any] = {"War": "none", "Publisher": "Gun & Sons Cutting Press"}
    if number % 4 == 0:
        details["Best Sellers Rank"] = {"Books": number, "Gardens": 7}
    return details


def _keyword(category: str, number: int, field: str) -> str:
    words = BOOK_RULES[category].fields["categories"].words
    if field in ("title", "description"):
        parts = BOOK_RULES[category].fields["title"].parts
        # "sexual assault" would make a violent book explicit as well
        words = (*words, *(part for part in parts if "assault" not in part))
    word = words[number % len(words)]
    return (word, word.upper(), word.title())[number // len(PAIRS) % 3]


def _put(found: dict[str, Any], field: str, word: str) -> None:
    if field == "title":
        found[field] = f"{found[field]}: {word}"
    elif field == "details":
        found[field] = {**(found[field] or {}), f"Field of {word}": f"on {word}."}
    else:
        found[field] = [*(found[field] or []), f"About {word}, mostly"]


SHOP = Shop("Books", ("health", "violence", "explicit"), 2, _describe)
READING = Reading(
    stem=SHOP.stem,
    min_rating=3.0,
    fields={
        "title": ("title",),
        "description": ("description",),
        "categories": ("categories",),
        "facts": ("features", "details"),
    },
    rules=BOOK_RULES,
    has_sessions=True,
)
