"""What the oracles of formats with ratings share: everything in the most obvious way."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from erase_ray.datasets._keywords import Rule
from erase_ray.datasets._synthetic._truth import natural, row_facts

Rating = tuple[str, str, float, int]
"""User, item, rating, time."""


def core(rows: list[Rating], k: int) -> list[Rating]:
    """The rows that are left when people and items with fewer than ``k`` of them go, repeatedly."""
    while True:
        per_user = Counter(row[0] for row in rows)
        per_item = Counter(row[1] for row in rows)
        kept = [row for row in rows if per_user[row[0]] >= k and per_item[row[1]] >= k]
        if len(kept) == len(rows):
            return rows
        rows = kept


def summary(rows: list[Rating], members: Mapping[str, set[str]]) -> dict[str, Any]:
    """The facts about the rows that are left, a person being one sequence.

    Args:
        rows: What is left.
        members: Items of each category, with those that are not left.
    """
    of_user: dict[str, list[Rating]] = defaultdict(list)
    for row in rows:
        of_user[row[0]].append(row)
    lines = []
    for user, own in of_user.items():
        own.sort(key=lambda row: (row[3], natural(row[1])))
        lines += [(user, user, step, row[1], row[3]) for step, row in enumerate(own)]
    left = {row[1] for row in rows}
    sensitive = {name: sorted(items & left) for name, items in members.items()}
    return {"sensitive": sensitive, **row_facts(lines, sensitive)}


def is_sensitive(rule: Rule, fields: Mapping[str, Iterable[str]]) -> bool:
    """Whether enough fields have a hit; a field is a list of texts."""
    signals = 0
    for name, wanted in rule.fields.items():
        texts = [_lower(text) for text in fields.get(name, ())]
        words = {word for text in texts for word in re.split("[^0-9a-z_]+", text)}
        signals += (
            any(_lower(word) in words for word in wanted.words)
            or any(_lower(part) in text for part in wanted.parts for text in texts)
            or any(_lower(line) == text for line in wanted.lines for text in texts)
        )
    return signals >= rule.min_signals


def _lower(text: str) -> str:
    """Only the letters A to Z are lowered."""
    return "".join(letter.lower() if "A" <= letter <= "Z" else letter for letter in text)
