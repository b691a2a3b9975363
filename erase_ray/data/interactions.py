"""The one table that everything is made from."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from erase_ray.errors import DataError

COLUMNS = ("user", "sequence", "step", "item", "time")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who did what, when: one row an interaction, sorted by sequence, then step, then item.

    ``row`` holds the row ids. They are the positions in the prepared table and never change, so
    ids of a table after :meth:`without` are ascending but have gaps. ``num_users``, ``num_items``
    and ``num_sequences`` are those of the prepared table and do not shrink either.

    Columns have shape ``(R,)``: user, sequence, step, item int32; time int64 (Unix seconds, or
    another unit that only grows); row int64.
    """

    user: np.ndarray
    sequence: np.ndarray
    step: np.ndarray
    item: np.ndarray
    time: np.ndarray
    row: np.ndarray
    num_users: int
    num_items: int
    num_sequences: int

    @classmethod
    def prepared(cls, columns: dict[str, np.ndarray]) -> "Interactions":
        """A whole table from its five columns, checked; row ids are 0 to R-1.

        Raises:
            DataError: A column is missing or negative, lengths differ, or rows are not sorted by
                sequence and step.
        """
        missing = [name for name in COLUMNS if name not in columns]
        if missing:
            raise DataError(f"interactions lack the columns {missing}; expected {list(COLUMNS)}")
        types = {"time": np.int64}
        arrays = {k: np.ascontiguousarray(columns[k], types.get(k, np.int32)) for k in COLUMNS}
        _check(arrays)
        return cls(
            *(arrays[name] for name in COLUMNS),
            row=np.arange(len(arrays["user"]), dtype=np.int64),
            num_users=_size(arrays["user"]),
            num_items=_size(arrays["item"]),
            num_sequences=_size(arrays["sequence"]),
        )

    def __len__(self) -> int:
        return len(self.row)

    def without(self, rows: np.ndarray) -> "Interactions":
        """The table less the given row ids; ids that are not (or no longer) here are ignored."""
        return self._where(~np.isin(self.row, rows))

    def only(self, rows: np.ndarray) -> "Interactions":
        """A view on the given row ids, such as one person's; ids that are not here are ignored."""
        return self._where(np.isin(self.row, rows))

    def of_users(self, users: np.ndarray) -> "Interactions":
        """A view on the rows of some users, in time proportional to the number of those rows."""
        order, starts = self._by_user
        parts = [order[starts[user] : starts[user + 1]] for user in users]
        return self._take(np.sort(np.concatenate(parts))) if parts else self._take(order[:0])

    def appended(self, other: "Interactions") -> "Interactions":
        """This table with the rows of ``other``, all of new people, behind it.

        Args:
            other: Rows whose ids, users and sequences continue those of this table; its sizes are
                those of the whole.

        Raises:
            DataError: Something does not continue, or an item is not in this table's catalogue.
        """
        _check_continues(self, other)
        arrays = {
            field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(self)
            if not field.name.startswith("num_")
        }
        return replace(other, **arrays)

    def columns(self) -> Iterator[tuple[str, np.ndarray]]:
        """The five data columns by name, in the order in which they are stored."""
        return ((name, getattr(self, name)) for name in COLUMNS)

    @cached_property
    def _by_user(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.user, kind="stable")
        starts = np.searchsorted(self.user[order], np.arange(self.num_users + 1))
        return order, starts

    def _where(self, keep: np.ndarray) -> "Interactions":
        return self._take(np.flatnonzero(keep))

    def _take(self, positions: np.ndarray) -> "Interactions":
        arrays = {
            field.name: getattr(self, field.name)[positions]
            for field in fields(self)
            if not field.name.startswith("num_")
        }
        return replace(self, **arrays)


def _check(arrays: dict[str, np.ndarray]) -> None:
    if len({len(column) for column in arrays.values()}) != 1:
        raise DataError("the columns of the interactions differ in length")
    for name in ("user", "sequence", "step", "item"):
        if arrays[name].size and arrays[name].min() < 0:
            raise DataError(f"column {name} of the interactions holds a negative number")
    key = arrays["sequence"].astype(np.int64) << 32 | arrays["step"]
    if np.any(np.diff(key) < 0):
        raise DataError("interactions must be sorted by sequence and step")


def _check_continues(table: Interactions, other: Interactions) -> None:
    _check(dict(other.columns()))
    expected = {
        "row": int(table.row[-1]) + 1 if len(table) else 0,
        "user": table.num_users,
        "sequence": table.num_sequences,
    }
    for name, first in expected.items():
        found = getattr(other, name)
        if len(other) and found.min() != first:
            raise DataError(
                f"the {name} ids of the rows to append begin at {found.min()}, expected {first}"
            )
    if np.any(np.diff(other.row) != 1):
        raise DataError("the row ids of the rows to append have gaps")
    if other.num_items != table.num_items or np.any(other.item >= table.num_items):
        raise DataError(
            f"the rows to append have items of a catalogue of {other.num_items}, this table has "
            f"{table.num_items}"
        )


def _size(ids: np.ndarray) -> int:
    return int(ids.max()) + 1 if ids.size else 0
