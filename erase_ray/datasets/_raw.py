"""What a dataset reads from its raw files, before ids are numbered."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.data.ids import Ids
from erase_ray.data.interactions import COLUMNS
from erase_ray.data.names import Names
from erase_ray.errors import DataError

OUTER = ("user", "sequence", "item")


@dataclass(frozen=True, eq=False)
class ItemTable:
    """What the raw files say about items; more or fewer than there are in the interactions.

    Args:
        outer: Outer item ids, each once, shape ``(M,)``.
        label: Text for the eye.
        categories: For each sensitive category a bool array of shape ``(M,)``.
    """

    outer: Names
    label: Names
    categories: dict[str, np.ndarray]

    @classmethod
    def of(cls, labels: dict[str, str], categories: dict[str, set[str]]) -> "ItemTable":
        """From dictionaries; an item that is only in a category is labelled with its id."""
        known = list(dict.fromkeys([*labels, *sorted(set().union(*categories.values()))]))
        flags = {
            name: np.fromiter((item in members for item in known), bool, len(known))
            for name, members in categories.items()
        }
        return cls(Names.of(known), Names.of(labels.get(item, item) for item in known), flags)

    @classmethod
    def of_arrow(cls, table: Any, label: str = "label") -> "ItemTable":
        """From an Arrow table: column ``item``, the one of the label, the others are flags."""
        flags = [name for name in table.column_names if name not in ("item", label)]
        return cls(
            outer=Names(table["item"]),
            label=Names(table[label]),
            categories={name: np.asarray(table[name].to_numpy(), bool) for name in flags},
        )

    def labels(self) -> dict[str, str]:
        """Label by outer id; for small data."""
        return dict(zip(self.outer, self.label, strict=True))

    def members(self, category: str) -> set[str]:
        """Outer ids of the items of a category."""
        return set(self.outer.take(np.flatnonzero(self.categories[category])))


@dataclass(frozen=True, eq=False)
class RawData:
    """The interactions in any order, and the items.

    Args:
        user: Who, shape ``(R,)``.
        sequence: Which sequence the row belongs to.
        item: What.
        step: Place in the sequence, int32: rises with time inside a sequence; equal for the items
            of one basket.
        time: Unix seconds or another unit that only grows, int64.
        items: Labels and categories.
        counts: Rows after each step of cleaning, in order; ``bad`` are those that were skipped.
    """

    user: Ids
    sequence: Ids
    item: Ids
    step: np.ndarray
    time: np.ndarray
    items: ItemTable
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_frame(
        cls,
        frame: pd.DataFrame,
        labels: dict[str, str],
        categories: dict[str, set[str]],
        counts: dict[str, int] | None = None,
    ) -> "RawData":
        """From a table with the five columns of the interactions; for data of modest size.

        Raises:
            DataError: A column is missing, has nulls or holds something else than integers.
        """
        missing = [name for name in COLUMNS if name not in frame]
        if missing:
            raise DataError(f"raw interactions lack the columns {missing}; expected {COLUMNS}")
        for name in COLUMNS:
            if frame[name].isna().to_numpy().any():
                raise DataError(f"column {name} of the raw interactions has nulls")
            if name not in OUTER and not pd.api.types.is_integer_dtype(frame[name]):
                kind = frame[name].dtype
                raise DataError(
                    f"column {name} of the raw interactions is {kind}, expected integers"
                )
        user, sequence, item = (_ids(frame[name]) for name in OUTER)
        step = frame["step"].to_numpy().astype(np.int32)
        time = frame["time"].to_numpy().astype(np.int64)
        table = ItemTable.of(labels, categories)
        return cls(user, sequence, item, step, time, table, counts or {"read": len(frame)})

    def __len__(self) -> int:
        return len(self.time)

    @property
    def labels(self) -> dict[str, str]:
        """Label by outer item id; for small data."""
        return self.items.labels()

    @property
    def categories(self) -> dict[str, set[str]]:
        """Outer item ids of each category."""
        return {name: self.items.members(name) for name in self.items.categories}

    def frame(self) -> pd.DataFrame:
        """The interactions with their texts; for small data."""
        texts = {name: getattr(self, name).texts() for name in OUTER}
        columns: dict[str, Iterable[Any]] = {**texts, "step": self.step, "time": self.time}
        return pd.DataFrame({name: columns[name] for name in COLUMNS})


def with_bad(counts: dict[str, int], num_bad: int) -> dict[str, int]:
    """The counts, and behind them the lines that were left out, if there are any."""
    return counts | ({"bad": num_bad} if num_bad else {})


def _ids(column: Any) -> Ids:
    return Ids.of([str(value) for value in column])
