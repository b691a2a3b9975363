"""Judge answers that come tile by tile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from erase_ray.errors import EraseError
from erase_ray.metrics._answers import Answers
from erase_ray.metrics._base import Aggregate, Judged, Metric
from erase_ray.metrics._exact import ExactSum, exact_sums
from erase_ray.metrics._groups import ITEM_GROUPS, QUERY_GROUPS, Population

ALL = ""
"""The group of all queries."""


@dataclass(frozen=True)
class Measured:
    """One metric at one cut-off.

    Args:
        metric: Name of the metric, with the group behind a dot if it is of one.
        k: Length of the list that was judged; 0 where it is no list.
        value: Mean over the queries that count; NaN where none does.
        unit: Unit of the value.
        better: ``up`` or ``down``.
        n: Number of queries that count.
    """

    metric: str
    k: int
    value: float
    unit: str
    better: str
    n: int


@dataclass(eq=False)
class Tally:
    """Judges answers, and forgets all of them but sums.

    The numbers are the same to the last bit whatever the tiles, their order, and how many tallies
    they were shared out to before these were merged.

    Args:
        metrics: Judged in this order.
        ks: Cut-offs.
        population: What groups are made from; None reports none.
    """

    metrics: Sequence[Metric | Aggregate]
    ks: Sequence[int]
    population: Population | None = None
    _num_queries: int = 0
    _sums: dict[tuple[str, int, str], ExactSum] = field(default_factory=dict)
    _summaries: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def add(self, answers: Answers) -> None:
        """Judge some more answers, with lists at least as long as the largest cut-off.

        Raises:
            EraseError: A metric is infinite, or not one number for each query.
        """
        assert max(self.ks, default=0) <= answers.ranked_QK.shape[1]
        self._num_queries += len(answers)
        everybody, classes = _Classes.one(ALL, answers), _Classes.of(answers, self.population)
        for metric in self.metrics:
            for k in self._cutoffs(metric):
                if isinstance(metric, Aggregate):
                    self._add_summary(metric, k, metric.summary(answers, k))
                else:
                    parts = classes if metric.grouped else everybody
                    self._add_values(metric, k, metric.per_query(answers, k), parts)
        if self.population is None:
            return
        for group, items in ITEM_GROUPS.items():
            fewer = answers.only(items(self.population))
            for metric, k in self._grouped():
                self._add_values(metric, k, metric.per_query(fewer, k), _Classes.one(group, fewer))

    def merge(self, other: "Tally") -> None:
        """Count what another tally of the same metrics has judged."""
        self._num_queries += other._num_queries
        for key, sums in other._sums.items():
            self._sums.setdefault(key, ExactSum()).merge(sums)
        for metric in self.metrics:
            for k in self._cutoffs(metric):
                if isinstance(metric, Aggregate) and (metric.name, k) in other._summaries:
                    self._add_summary(metric, k, other._summaries[metric.name, k])

    def measured(self) -> list[Measured]:
        """Each metric at each cut-off, for all queries and then group by group."""
        return [
            self._measured(metric, k, group)
            for metric in self.metrics
            for group in self._groups(metric)
            for k in self._cutoffs(metric)
        ]

    def _cutoffs(self, metric: Judged) -> Sequence[int]:
        return self.ks if metric.has_cutoff else (0,)

    def _groups(self, metric: Judged) -> list[str]:
        is_grouped = metric.grouped and self.population is not None
        return [ALL, *QUERY_GROUPS, *ITEM_GROUPS] if is_grouped else [ALL]

    def _grouped(self) -> list[tuple[Metric, int]]:
        chosen = [m for m in self.metrics if isinstance(m, Metric) and m.grouped]
        return [(metric, k) for metric in chosen for k in self._cutoffs(metric)]

    def _add_summary(self, metric: Aggregate, k: int, found: np.ndarray) -> None:
        key = metric.name, k
        known = self._summaries.get(key)
        self._summaries[key] = found if known is None else metric.merged(known, found)

    def _add_values(
        self, metric: Metric, k: int, values_Q: np.ndarray, classes: "_Classes"
    ) -> None:
        _check(metric, k, values_Q, len(classes.class_Q))
        sums = exact_sums(values_Q, classes.class_Q, len(classes.members))
        for groups, one in zip(classes.members, sums, strict=True):
            for group in groups:
                self._sums.setdefault((metric.name, k, group), ExactSum()).merge(one)

    def _measured(self, metric: Metric | Aggregate, k: int, group: str) -> Measured:
        name = f"{metric.name}.{group}" if group else metric.name
        if isinstance(metric, Aggregate):
            summary = self._summaries.get((metric.name, k))
            value = np.nan if summary is None else metric.value(summary)
            return Measured(name, k, value, metric.unit, metric.better, self._num_queries)
        sums = self._sums.get((metric.name, k, group), ExactSum())
        return Measured(name, k, sums.mean, metric.unit, metric.better, sums.count)


def _check(metric: Metric, k: int, values_Q: np.ndarray, num_queries: int) -> None:
    if values_Q.shape != (num_queries,):
        raise EraseError(
            f"metric '{metric.name}' gave numbers of shape {values_Q.shape} for {num_queries} "
            f"queries; it has to give one for each"
        )
    if np.isinf(values_Q).any():
        raise EraseError(
            f"metric '{metric.name}' at {k} is infinite for a query; a query that does not count "
            f"has to be NaN"
        )


@dataclass(frozen=True, eq=False)
class _Classes:
    """Queries by the groups they are in, so that each is added once and not once a group.

    Args:
        class_Q: The class of each query.
        members: The groups that each class is part of.
    """

    class_Q: np.ndarray
    members: list[list[str]]

    @classmethod
    def one(cls, group: str, answers: Answers) -> "_Classes":
        return cls(np.zeros(len(answers), np.int64), [[group]])

    @classmethod
    def of(cls, answers: Answers, population: Population | None) -> "_Classes":
        if population is None:
            return cls.one(ALL, answers)
        bits_Q = np.zeros(len(answers), np.int64)
        for place, group in enumerate(QUERY_GROUPS.values()):
            bits_Q |= group(population, answers).astype(np.int64) << place
        named = list(enumerate(QUERY_GROUPS))
        kinds = range(1 << len(named))
        return cls(bits_Q, [[ALL, *(g for i, g in named if kind >> i & 1)] for kind in kinds])
