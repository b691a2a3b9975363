"""What differs between two records of cells: numbers, versions, devices, costs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from erase_ray.report.read import CellInfo
from erase_ray.report.stored import flattened


class Tables(Protocol):
    """What is asked of a store besides settings and manifests."""

    def table(self, key: str, name: str) -> pd.DataFrame:
        """A stored table of a cell."""
        ...


@dataclass(frozen=True)
class Change:
    """A setting, version or device that differs; None where one side has none."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Number:
    """A measured number of both sides; None where one side lacks it.

    Args:
        metric: Its name.
        k: Cut-off.
        mark: Mark of the chain.
        a: On the first side.
        b: On the second.
        other_queries: Both have it, over other queries.
    """

    metric: str
    k: int
    mark: int
    a: float | None
    b: float | None
    other_queries: bool

    @property
    def difference(self) -> float:
        """``b`` − ``a``; NaN where one is missing."""
        return math.nan if self.a is None or self.b is None else self.b - self.a

    def is_within(self, tolerance: float) -> bool:
        """Whether both are there and the same, up to a share of the larger; NaN equals NaN."""
        if self.a is None or self.b is None:
            return False
        if self.a == self.b or (math.isnan(self.a) and math.isnan(self.b)):
            return True
        return abs(self.difference) <= tolerance * max(abs(self.a), abs(self.b))


@dataclass(frozen=True)
class Ratio:
    """A cost on both sides, at the last mark."""

    name: str
    unit: str
    a: float
    b: float

    @property
    def ratio(self) -> float:
        """``b`` over ``a``; NaN where that is nothing."""
        return self.b / self.a if self.a else math.nan


def joined(table_a: pd.DataFrame, table_b: pd.DataFrame) -> list[Number]:
    """All numbers that either table of results has, in the order of the first, then the second."""
    rows_a, rows_b = dict(_rows(table_a)), dict(_rows(table_b))
    missing = None, "", 0
    found = []
    for name in {**rows_a, **rows_b}:
        (a, hash_a, n_a), (b, hash_b, n_b) = rows_a.get(name, missing), rows_b.get(name, missing)
        is_both = a is not None and b is not None
        found.append(Number(*name, a, b, is_both and (hash_a, n_a) != (hash_b, n_b)))
    return found


def _rows(table: pd.DataFrame) -> Iterator[tuple[tuple[str, int, int], tuple[float, str, int]]]:
    columns = ("metric", "k", "mark", "value", "test_hash", "n")
    for metric, k, mark, value, test_hash, n in zip(
        *(table[name].tolist() for name in columns), strict=True
    ):
        yield (metric, int(k), int(mark)), (float(value), test_hash, int(n))


def settings_changes(a: CellInfo, b: CellInfo) -> list[Change]:
    """Settings in which two cells differ, by dotted name, but for the seed."""
    return [c for c in _changes(flattened(a.settings), flattened(b.settings)) if c.name != "seed"]


def around(a: CellInfo, b: CellInfo) -> list[Change]:
    """Devices and versions of libraries that two cells differ in."""
    return _changes(*({"device": c.facts.get("device")} | c.manifest["versions"] for c in (a, b)))


def _changes(a: dict[str, Any], b: dict[str, Any]) -> list[Change]:
    names = sorted({*a, *b})
    return [Change(n, a.get(n), b.get(n)) for n in names if a.get(n) != b.get(n)]


def last_costs(cell: CellInfo, store: Tables) -> dict[tuple[str, str], float]:
    """Costs of a cell at its last mark, by name and unit; ``seconds`` are those of all of it."""
    table = store.table(cell.key, "costs")
    last = table[table["mark"] == table["mark"].max()]
    columns = [last[name].tolist() for name in ("metric", "unit", "value")]
    found = {(metric, unit): float(value) for metric, unit, value in zip(*columns, strict=True)}
    seconds = cell.facts.get("seconds")
    return found if seconds is None else {("seconds", "s"): float(seconds)} | found
