"""What the oracles of all formats share."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from erase_ray import seeds

Row = tuple[str, str, int, str, int]
"""User, sequence, step, item, time."""

CHAIN_SEED, CHAIN_FRACTIONS = 2, (0.01, 0.05)


def digest(rows: Iterable[Row]) -> str:
    """SHA-256 over the sorted lines ``user, sequence, step, item, time``, split by tabs."""
    lines = sorted("\t".join(map(str, row)) + "\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def row_facts(rows: Sequence[Row], sensitive: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the truth says about the final rows.

    Args:
        rows: All rows that are left by cleaning.
        sensitive: Items of each category.
    """
    return {
        "num_users": len({row[0] for row in rows}),
        "num_items": len({row[3] for row in rows}),
        "num_sequences": len({row[1] for row in rows}),
        "rows_sha256": digest(rows),
        "chain_seed": CHAIN_SEED,
        "chains": {
            category: {
                str(fraction): chain(rows, set(items), category, fraction)
                for fraction in CHAIN_FRACTIONS
            }
            for category, items in sensitive.items()
        },
    }


def chain(
    rows: Sequence[Row], items: set[str], category: str, fraction: float
) -> list[list[Any]] | None:
    """Who asks, by user, and for which rows; None if the first one drawn would ask for too much.

    People are drawn until ``fraction`` of all rows is reached, the last one only if that brings
    the number closer to it.
    """
    named: dict[str, list[list[Any]]] = {}
    for user, sequence, step, item, _ in rows:
        if item in items:
            named.setdefault(user, []).append([sequence, step, item])
    people = sorted(named, key=natural)
    target, total, asking = int(fraction * len(rows) + 1e-9), 0, []
    draws = seeds.numpy_generator(CHAIN_SEED, "sensitive", category).permutation(len(people))
    for user in (people[number] for number in draws):
        after = total + len(named[user])
        if after > target and after - target >= target - total:
            break
        asking.append(user)
        total = after
        if after >= target:
            break
    return [[user, sorted(named[user])] for user in sorted(asking, key=natural)] or None


def natural(text: str) -> tuple[bool, int, str]:
    """Numbers by value and before other texts."""
    is_number = text.isascii() and text.isdigit()
    return not is_number, int(text) if is_number else 0, text
