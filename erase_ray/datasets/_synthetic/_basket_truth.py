"""What cleaning must make of baskets, worked out one line at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from erase_ray.datasets._synthetic._truth import row_facts

Line = tuple[str, Any, int, str]
"""User, what orders the baskets of a user, time, product."""
Rows = list[tuple[str, int, str, int]]
"""User, number of the basket, product, time."""


@dataclass(frozen=True)
class Rules:
    """The limits of a basket reader; 0 means that there is none."""

    min_baskets: int
    max_baskets: int
    min_item_count: int
    min_baskets_left: int
    counts_last: bool


def cleaned(lines: Iterable[Line], rules: Rules) -> tuple[Rows, dict[str, int]]:
    """The rows that are left, and how many rows there are after each step."""
    people: dict[str, dict[Any, tuple[int, set[str]]]] = defaultdict(dict)
    for user, basket, time, item in lines:
        people[user].setdefault(basket, (time, set()))[1].add(item)
    histories = {user: [b for _, b in sorted(found.items())] for user, found in people.items()}
    counts = {"distinct": _size(histories)}
    most = rules.max_baskets or 10**9
    histories = {u: h for u, h in histories.items() if rules.min_baskets <= len(h) <= most}
    counts["regular"] = _size(histories)
    bought = Counter(
        item
        for history in histories.values()
        for _, items in (history if rules.counts_last else history[:-1])
        for item in items
    )
    common = {item for item, count in bought.items() if count >= rules.min_item_count}
    histories = {u: [(t, i & common) for t, i in h if i & common] for u, h in histories.items()}
    counts["common"] = _size(histories)
    histories = {u: h for u, h in histories.items() if len(h) >= rules.min_baskets_left}
    counts["left"] = _size(histories)
    rows = [
        (user, step, item, time)
        for user, history in histories.items()
        for step, (time, items) in enumerate(history)
        for item in items
    ]
    return rows, counts


def _size(histories: dict[str, list[tuple[int, set[str]]]]) -> int:
    return sum(len(items) for history in histories.values() for _, items in history)


def facts(
    rows: Rows, counts: dict[str, int], members: dict[str, set[str]], planted: dict[str, set[str]]
) -> dict[str, Any]:
    """The truth about a dataset of baskets, in the form that all formats share."""
    items = {item for _, _, item, _ in rows}
    sensitive = {name: sorted(ids & items) for name, ids in members.items()}
    lines = [(user, user, step, item, time) for user, step, item, time in rows]
    return {
        "counts": counts,
        "sensitive": sensitive,
        **row_facts(lines, sensitive),
        "planted": {name: sorted(ids) for name, ids in planted.items()},
    }
