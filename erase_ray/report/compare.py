"""Two sets of finished cells side by side: the same cells, and the same experiments otherwise."""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from erase_ray.errors import SettingsError
from erase_ray.report.compare_numbers import Change, Number, Tables, around, joined
from erase_ray.report.compare_pairs import Experiment, experiments
from erase_ray.report.read import CellInfo
from erase_ray.report.stored import Catalogue, name_of, stored_cells

RESULTS_FILE = "results.parquet"
_READERS = 8


class Shelf(Catalogue, Tables, Protocol):
    """What a comparison asks of a store."""


@dataclass(frozen=True)
class Side:
    """A store, or the cells of one of its runs."""

    store: Shelf
    run: str = ""


@dataclass(frozen=True)
class Twin:
    """A cell that both sides have, by its key.

    Args:
        key: Of the cell.
        label: A short name for people.
        identical: Both have the same bytes of results.
        compared: Numbers that either has.
        numbers: Those that differ by more than the tolerance, or that one side lacks.
        queries: Numbers that were measured on other queries, whatever their value.
        weights: Marks at which the stored weights differ.
        around: Versions of libraries and devices that differ.
        seconds: What the whole cell took, on either side; NaN if unknown.
    """

    key: str
    label: str
    identical: bool
    compared: int
    numbers: tuple[Number, ...]
    queries: int
    weights: tuple[str, ...]
    around: tuple[Change, ...]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """All that two sides differ in.

    Args:
        a: Address of the first side.
        b: Address of the second.
        tolerance: Relative difference up to which numbers are the same.
        twins: Cells in both, by key.
        experiments: Cells in one, matched with cells of the other that ask the same otherwise.
        only_a: Labels of cells that only the first has.
        only_b: Labels of cells that only the second has.
    """

    a: str
    b: str
    tolerance: float
    twins: tuple[Twin, ...]
    experiments: tuple[Experiment, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether both have the same cells with the same numbers, up to the tolerance.

        Weights count only where no tolerance is asked for: there is no telling how much of a
        difference in weights a difference in numbers is worth.
        """
        alone = self.only_a or self.only_b
        return not alone and all(map(self.is_same, (*self.twins, *self.experiments)))

    def is_same(self, found: Twin | Experiment) -> bool:
        """Whether a twin or an experiment is equal on both sides."""
        if isinstance(found, Experiment):
            return found.is_same
        return not (found.numbers or found.queries or (found.weights and not self.tolerance))


def compare(a: Side, b: Side, only: str = "", tolerance: float = 0.0) -> Comparison:
    """Compare the finished cells of two sides.

    Args:
        a: The first side.
        b: The second side.
        only: ``key=value|value,...``; keeps matching cells of both.
        tolerance: Relative difference, of the larger of two numbers, that counts as none.

    Raises:
        SettingsError: ``tolerance`` is negative, or there is nothing to compare.
        StoreError: A store cannot be read, lacks a run, or is damaged.
    """
    if not tolerance >= 0:
        raise SettingsError(f"--tolerance takes a number from 0 on, got {tolerance:g}")
    cells_a, cells_b = (_by_key(stored_cells(s.store, s.run, only, strict=False)) for s in (a, b))
    if not cells_a and not cells_b:
        what = f"--only {only} leaves no cell" if only else "there is no finished cell"
        raise SettingsError(f"{what} in {a.store.uri} and none in {b.store.uri}")
    both = [key for key in cells_a if key in cells_b]

    def twin(key: str) -> Twin:
        return _twin((cells_a[key], cells_b[key]), (a.store, b.store), tolerance)

    alone = [[c for key, c in cells.items() if key not in both] for cells in (cells_a, cells_b)]
    found, left_a, left_b = experiments(alone, (a.store, b.store), tolerance)
    with ThreadPoolExecutor(_READERS) as pool:
        return Comparison(
            a=_address(a),
            b=_address(b),
            tolerance=tolerance,
            twins=tuple(pool.map(twin, both)),
            experiments=tuple(found),
            only_a=tuple(map(name_of, left_a)),
            only_b=tuple(map(name_of, left_b)),
        )


def _by_key(cells: Iterable[CellInfo]) -> dict[str, CellInfo]:
    return {cell.key: cell for cell in cells}


def _address(side: Side) -> str:
    return f"{side.store.uri} (run {side.run})" if side.run else side.store.uri


def _twin(cells: Sequence[CellInfo], stores: Sequence[Shelf], tolerance: float) -> Twin:
    one, two = (cell.manifest for cell in cells)
    identical = one["files"][RESULTS_FILE] == two["files"][RESULTS_FILE]
    numbers: list[Number] = []
    if not identical:
        key = cells[0].key
        numbers = joined(*(store.table(key, "results") for store in stores))
    marks = sorted({*one["weights"], *two["weights"]})
    return Twin(
        key=cells[0].key,
        label=name_of(cells[0]),
        identical=identical,
        compared=len(numbers),
        numbers=tuple(number for number in numbers if not number.is_within(tolerance)),
        queries=sum(number.other_queries for number in numbers),
        weights=tuple(m for m in marks if one["weights"].get(m) != two["weights"].get(m)),
        around=tuple(around(*cells)),
        seconds=_seconds(cells),
    )


def _seconds(cells: Sequence[CellInfo]) -> tuple[float, float]:
    one, two = (float(cell.facts.get("seconds", math.nan)) for cell in cells)
    return one, two
