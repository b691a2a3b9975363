"""Means over seeds, and the row of each series in the summary."""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.panels import RETRAIN, Panel, Series
from erase_ray.scenarios._base import NUM_MARKS

MARKS = tuple(range(1, NUM_MARKS + 1))
LAST = NUM_MARKS


@dataclass(frozen=True)
class Stat:
    """A mean over seeds with its standard deviation (0 with one seed)."""

    mean: float
    sd: float = 0.0
    count: int = 1

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval of the mean; NaN with one seed."""
        if self.count < 2:
            return math.nan, math.nan
        reach = float(stats.t.ppf((1 + level) / 2, self.count - 1))
        half = reach * self.sd / math.sqrt(self.count)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Column:
    """A measured column of the summary."""

    title: str
    metric: str
    k: int
    is_share: bool


COLUMNS = (
    Column("Recall@20", "recall", 20, False),
    Column("NDCG@20", "ndcg", 20, False),
    Column("sens.@10", "sensitive_share", 10, True),
    Column("sens.@20", "sensitive_share", 20, True),
)


class Measured:
    """The stored numbers of a panel by series, metric, cut-off, mark and seed."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._values: dict[tuple[str, str, int, int], dict[int, float]] = defaultdict(dict)
        for series in panel.series:
            for cell in series.cells:
                for name in ("results", "costs"):
                    if cell.done:
                        self._add(series.name, cell.tables[name])

    def stat(self, series: str, metric: str, k: int = 0, mark: int = LAST) -> Stat | None:
        """Mean over the seeds that are there; None without any."""
        by_seed = self._values.get((series, metric, k, mark), {})
        return _stat([by_seed[seed] for seed in sorted(by_seed)])

    def over_marks(self, series: str, metric: str, k: int = 0) -> list[Stat | None]:
        """One mean a mark."""
        return [self.stat(series, metric, k, mark) for mark in MARKS]

    def training(self, series: str) -> float | None:
        """Mean seconds of one training, over marks and seeds."""
        runs = [
            value
            for mark in MARKS
            for value in self._values.get((series, "seconds_train", 0, mark), {}).values()
        ]
        return statistics.fmean(runs) if runs else None

    def request(self, series: str) -> float | None:
        """Mean seconds of a request over the whole chain."""
        stat = self.stat(series, "seconds_request")
        return stat.mean if stat else None

    def _add(self, series: str, table: pd.DataFrame) -> None:
        columns = [table[name].tolist() for name in ("metric", "k", "mark", "seed", "value")]
        for metric, k, mark, seed, value in zip(*columns, strict=True):
            number = math.nan if value is None else float(value)
            self._values[series, metric, int(k), int(mark)][int(seed)] = number


@dataclass(frozen=True, eq=False)
class Row:
    """A line of the summary: a series at the last mark.

    Args:
        panel: Where it belongs.
        series: What it is about.
        stats: One for each of ``COLUMNS``; None where nothing is stored.
        applied: Requests that were applied; None for methods that serve none one by one.
        total: Requests that were served.
        seconds: Of a request, or of a training where ``is_training``.
        speedup: Seconds of one retraining over ``seconds``; None where either is missing.
        is_partial: True if cells of the series are missing.
    """

    panel: Panel
    series: Series
    stats: tuple[Stat | None, ...]
    applied: int | None
    total: int | None
    seconds: float | None
    is_training: bool
    speedup: float | None
    is_partial: bool


def summary_rows(panels: Sequence[Panel]) -> list[Row]:
    """One row a series, in the order of the panels."""
    return [
        _row(measured, series)
        for measured in map(Measured, panels)
        for series in measured.panel.series
    ]


def _row(measured: Measured, series: Series) -> Row:
    per_request = measured.request(series.name)
    training = measured.training(series.name) if per_request is None else None
    seconds = training if per_request is None else per_request
    reference = measured.training(_retrain_of(measured.panel))
    served = _served(series)
    return Row(
        panel=measured.panel,
        series=series,
        stats=tuple(measured.stat(series.name, c.metric, c.k) for c in COLUMNS),
        applied=served.count("applied") if served else None,
        total=len(served) or None,
        seconds=seconds,
        is_training=training is not None,
        speedup=reference / seconds if reference and seconds and _compares(series) else None,
        is_partial=any(not cell.done for cell in series.cells),
    )


def _compares(series: Series) -> bool:
    return series.method != ORIGINAL


def _retrain_of(panel: Panel) -> str:
    return next((series.name for series in panel.series if series.method == RETRAIN), RETRAIN)


def _served(series: Series) -> list[str]:
    """Outcomes of all requests served one by one."""
    chains = [cell for cell in series.cells if cell.done and cell.settings["mark"] is None]
    return [status for cell in chains for status in cell.tables["requests"]["status"].tolist()]


def _stat(values: list[float]) -> Stat | None:
    if not values:
        return None
    mean = statistics.fmean(values)
    if not math.isfinite(mean):
        return Stat(math.nan, math.nan, len(values))
    return Stat(mean, statistics.stdev(values) if len(values) > 1 else 0.0, len(values))
