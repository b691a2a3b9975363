"""Rows of a user's own table to sequences or baskets."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from erase_ray.data.clean import cut_sessions, distinct, k_core, order_by, rank_in_group, runs
from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets._baskets import Limits, Purchases
from erase_ray.datasets._raw import ItemTable, RawData

DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of the table, in its order unless said otherwise.

    Args:
        user: Who; the session where there is no user.
        item: What.
        time: Unix seconds; number of the row where there is no time, int64.
        session: None if there is none.
        basket: None if there is none.
        has_time: Whether there is a time.
    """

    user: Ids
    item: Ids
    time: np.ndarray
    session: Ids | None
    basket: Ids | None
    has_time: bool

    @classmethod
    def of(cls, columns: dict[str, Any]) -> "Rows":
        """From loaded columns."""
        item, session = columns["item"], columns.get("session")
        time = columns.get("time")
        place = np.arange(len(item), dtype=np.int64)
        user = columns["user"] if "user" in columns else columns["session"]
        found = place if time is None else time.astype(np.int64)
        return cls(user, item, found, session, columns.get("basket"), time is not None)

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> "Rows":
        """The rows at some positions, or those that a mask marks."""
        return replace(
            self,
            user=self.user.take(rows),
            item=self.item.take(rows),
            time=self.time[rows],
            session=self.session.take(rows) if self.session else None,
            basket=self.basket.take(rows) if self.basket else None,
        )


def rated(rows: Rows, columns: dict[str, Any], min_rating: float, counts: dict[str, int]) -> Rows:
    """Rows with a rating of ``min_rating`` or more; all of them if it is 0."""
    if not min_rating:
        return rows
    left = rows.take(columns["rating"] >= min_rating)
    counts["rated"] = len(left)
    return left


def sequences(rows: Rows, asked: Any, table: ItemTable, counts: dict[str, int]) -> RawData:
    """Rows of users or sessions, one a step.

    Args:
        rows: In the order of the table.
        asked: Settings of the dataset.
        table: Labels and categories.
        counts: Rows after each step; more are added.
    """
    rows = rows.take(order_by(rows.user.codes, rows.time))
    sequence = _sequence(rows, asked)
    keep = distinct(sequence.codes, rows.time, rows.item.codes)
    rows, sequence = rows.take(keep), sequence.take(keep)
    counts["distinct"] = len(rows)
    for name, kept in _filters(asked):
        keep = kept(rows, sequence)
        rows, sequence = rows.take(keep), sequence.take(keep)
        counts[name] = len(rows)
    order = order_by(sequence.codes, rows.time)
    rows, sequence = rows.take(order), sequence.take(order)
    step = rank_in_group(sequence.codes)
    return RawData(rows.user, sequence, rows.item, step, rows.time, table, counts)


def _sequence(rows: Rows, asked: Any) -> Ids:
    """The sequence of each row; rows are sorted by user and time."""
    user, session = rows.user, rows.session
    if asked.task == "cf":
        return user
    if asked.session_gap_s:
        number = cut_sessions(user.codes, rows.time, asked.session_gap_s)
        return joined(user, Ids(number.astype(np.int32), _numerals(number)), "_session_")
    if session is None:
        return user
    return joined(user, session, "/") if asked.sessions_per_user else session


def _numerals(number: np.ndarray) -> Names:
    return Names.of([str(value) for value in range(int(number.max(initial=-1)) + 1)])


def joined(first: Ids, second: Ids, between: str) -> Ids:
    """One id for each pair."""
    order = order_by(first.codes, second.codes)
    a, b = first.codes[order], second.codes[order]
    number = runs(a, b)
    heads = np.flatnonzero(np.diff(number, prepend=-1))
    codes = np.empty(len(order), np.int32)
    codes[order] = number
    return Ids(codes, first.names.take(a[heads]).glued(second.names.take(b[heads]), between))


def _filters(asked: Any) -> list[tuple[str, Any]]:
    """Name and mask of each filter that is on."""

    def core(rows: Rows, _: Ids) -> np.ndarray:
        return k_core(rows.user.codes, rows.item.codes, asked.core)

    def common(rows: Rows, _: Ids) -> np.ndarray:
        return np.bincount(rows.item.codes)[rows.item.codes] >= asked.min_item_count

    def long(_: Rows, sequence: Ids) -> np.ndarray:
        return np.bincount(sequence.codes)[sequence.codes] >= asked.min_sequence_length

    wanted = [
        (f"{asked.core}-core", core, asked.core > 1),
        ("common", common, asked.min_item_count > 1),
        ("long", long, asked.min_sequence_length > 1),
    ]
    return [(name, mask) for name, mask, is_on in wanted if is_on]


def baskets(rows: Rows, asked: Any, table: ItemTable, counts: dict[str, int]) -> RawData:
    """Items of baskets.

    Args:
        rows: In the order of the table.
        asked: Settings of the dataset.
        table: Labels and categories.
        counts: Rows after each step; more are added.
    """
    when, time = basket_moments(rows, asked)
    bought = Purchases.of(rows.user.codes, when, rows.item.codes, time)
    limits = Limits(
        asked.min_baskets, asked.max_baskets, asked.min_item_count, asked.min_baskets, True
    )
    bought, steps = bought.filtered(limits)
    return bought.raw_data((rows.user.names, rows.item.names), table, counts | steps)


def basket_moments(rows: Rows, asked: Any) -> tuple[np.ndarray, np.ndarray]:
    """What tells the baskets of a user apart and orders them, and the time of each basket."""
    if rows.basket is None:
        when = rows.time // DAY_S if asked.basket_by == "day" else rows.time
        return when, when * DAY_S if asked.basket_by == "day" else when
    rank = rows.basket.names.natural_ranks[rows.basket.codes]
    if not rows.has_time:
        return rank, rank
    order = order_by(rows.user.codes, rank, rows.time)
    number = runs(rows.user.codes[order], rank[order])
    heads = np.flatnonzero(np.diff(number, prepend=-1))
    earliest_G = rows.time[order][heads]
    place_G = np.empty(len(heads), np.int64)
    place_G[order_by(earliest_G, rank[order][heads])] = np.arange(len(heads))
    when, time = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    when[order], time[order] = place_G[number], earliest_G[number]
    return when, time
