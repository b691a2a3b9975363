"""The same experiment under two keys: other settings, another version or format."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import pandas as pd

from erase_ray.report.compare_numbers import (
    Change,
    Number,
    Ratio,
    Tables,
    around,
    joined,
    last_costs,
    settings_changes,
)
from erase_ray.report.read import CellInfo
from erase_ray.report.statistics import Interval, paired_means
from erase_ray.report.stored import name_of

Pair = tuple[CellInfo, CellInfo]


@dataclass(frozen=True)
class Paired:
    """A number of an experiment, mean over the seeds that both sides have it for.

    Args:
        metric: Its name.
        k: Cut-off.
        mark: Mark of the chain.
        a: Mean on the first side; None where only the second has it.
        b: Mean on the second.
        difference: Mean of ``b`` − ``a`` with a bootstrap interval over seeds; None with one seed.
        is_same: All seeds agree up to the tolerance.
    """

    metric: str
    k: int
    mark: int
    a: float | None
    b: float | None
    difference: Interval | None
    is_same: bool

    @property
    def change(self) -> float:
        """``b`` − ``a``; NaN where one is missing."""
        return math.nan if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class Experiment:
    """Cells of the same dataset, model, method, scenario, mark and audit, paired by seed.

    Args:
        label: A short name for people, without the seed.
        seeds: Of the pairs.
        keys: Of the cells of each pair.
        settings: What the settings differ in; empty if only a version or format does.
        around: Versions of libraries and devices that differ.
        numbers: All that either side has.
        queries: Numbers that were measured on other queries, over all seeds.
        costs: Of both sides, means over seeds.
    """

    label: str
    seeds: tuple[int, ...]
    keys: tuple[tuple[str, str], ...]
    settings: tuple[Change, ...]
    around: tuple[Change, ...]
    numbers: tuple[Paired, ...]
    queries: int
    costs: tuple[Ratio, ...]

    @property
    def is_same(self) -> bool:
        """Whether all numbers are the same up to the tolerance, on the same queries."""
        return not self.queries and all(number.is_same for number in self.numbers)


def experiments(
    alone: Sequence[Sequence[CellInfo]], stores: Sequence[Tables], tolerance: float
) -> tuple[list[Experiment], list[CellInfo], list[CellInfo]]:
    """Match the cells that only one side has.

    Args:
        alone: Cells of the first side and of the second.
        stores: Where each side is.
        tolerance: Relative difference that counts as none.

    Returns:
        What matches, and the cells of either side that match nothing. Where a side has several
        cells of an experiment, those with the fewest different settings are matched first.
    """
    pairs = _pairs(*alone)
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for one, two in pairs:
        changed = "; ".join(map(str, settings_changes(one, two)))
        groups[(*_experiment(one), changed)].append((one, two))
    matched = {cell.key for pair in pairs for cell in pair}
    left_a, left_b = ([cell for cell in cells if cell.key not in matched] for cells in alone)
    found = [_experiment_of(group, stores, tolerance) for group in groups.values()]
    return found, left_a, left_b


def _experiment(cell: CellInfo) -> tuple[str, ...]:
    """What two cells must share to be the same experiment, but for the seed."""
    names = [
        (cell.settings.get(part) or {}).get("name", "")
        for part in ("dataset", "model", "method", "scenario", "audit")
    ]
    shadow = (cell.settings.get("shadow") or {}).get("index", "")
    return (*names, str(cell.settings["mark"]), str(shadow))


def _pairs(cells_a: Iterable[CellInfo], cells_b: Iterable[CellInfo]) -> list[Pair]:
    asked: dict[tuple[str, ...], list[CellInfo]] = defaultdict(list)
    for cell in cells_b:
        asked[(*_experiment(cell), str(cell.settings["seed"]))].append(cell)
    close: list[tuple[int, CellInfo, CellInfo]] = []
    for one in cells_a:
        for two in asked[(*_experiment(one), str(one.settings["seed"]))]:
            close.append((len(settings_changes(one, two)), one, two))
    taken: set[str] = set()
    pairs = []
    for _, one, two in sorted(close, key=lambda found: found[0]):
        if not {one.key, two.key} & taken:
            taken |= {one.key, two.key}
            pairs.append((one, two))
    return sorted(pairs, key=lambda pair: (name_of(pair[0]), pair[0].settings["seed"]))


def _experiment_of(pairs: list[Pair], stores: Sequence[Tables], tolerance: float) -> Experiment:
    by_seed = [
        joined(*(store.table(c.key, "results") for c, store in zip(pair, stores, strict=True)))
        for pair in pairs
    ]
    one, two = pairs[0]
    return Experiment(
        label=name_of(one).rpartition("/s")[0],
        seeds=tuple(pair[0].settings["seed"] for pair in pairs),
        keys=tuple((a.key, b.key) for a, b in pairs),
        settings=tuple(settings_changes(one, two)),
        around=tuple({change: None for pair in pairs for change in around(*pair)}),
        numbers=tuple(_paired(by_seed, tolerance)),
        queries=sum(number.other_queries for numbers in by_seed for number in numbers),
        costs=tuple(_ratios(pairs, stores)),
    )


def _paired(by_seed: list[list[Number]], tolerance: float) -> list[Paired]:
    found: dict[tuple[str, int, int], list[Number]] = defaultdict(list)
    for numbers in by_seed:
        for number in numbers:
            found[number.metric, number.k, number.mark].append(number)
    return [_mean(name, numbers, tolerance) for name, numbers in found.items()]


def _mean(name: tuple[str, int, int], numbers: list[Number], tolerance: float) -> Paired:
    both = [(n.a, n.b) for n in numbers if n.a is not None and n.b is not None]
    sides = list(zip(*both, strict=True)) if both else [_there(numbers, s) for s in ("a", "b")]
    a, b = (fmean(side) if side else None for side in sides)
    is_same = all(number.is_within(tolerance) for number in numbers)
    return Paired(*name, a, b, _difference(both), is_same)


def _there(numbers: list[Number], side: str) -> list[float]:
    return [value for number in numbers if (value := getattr(number, side)) is not None]


def _difference(both: list[tuple[float, float]]) -> Interval | None:
    """Mean of b − a over seeds, which are what is resampled: each stands for one draw."""
    finite = [pair for pair in both if all(map(math.isfinite, pair))]
    if len(finite) < 2:
        return None
    rows = [{"seed": 0, "user": n, "a": b, "b": a} for n, (a, b) in enumerate(finite)]
    return paired_means(pd.DataFrame(rows))


def _ratios(pairs: list[Pair], stores: Sequence[Tables]) -> list[Ratio]:
    """Means over the pairs of costs that both sides of all pairs have."""
    sides = [
        [last_costs(cell, store) for cell in side]
        for side, store in zip(zip(*pairs, strict=True), stores, strict=True)
    ]
    names = [name for name in sides[0][0] if all(name in one for side in sides for one in side)]
    return [Ratio(*name, *(fmean(one[name] for one in side) for side in sides)) for name in names]
