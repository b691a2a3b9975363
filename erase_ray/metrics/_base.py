"""The contract of a metric."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._answers import Answers
from erase_ray.registry import Registry

METRICS: "Registry[Metric | Aggregate]" = Registry("metric", "erase_ray.metrics")


class Judged(ABC):
    """What every metric says of itself."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share"
    better: ClassVar[Literal["up", "down"]] = "up"
    asks: ClassVar[Literal["test", "probe"]] = "test"
    """Which answers it judges: those to the test queries, or those to the requesters' probes."""
    has_cutoff: ClassVar[bool] = True
    """False where it looks at no list; it is then reported once, with a cut-off of 0."""
    grouped: ClassVar[bool] = False
    """Whether it is reported for each group as well; see :mod:`erase_ray.metrics._groups`."""


class Metric(Judged):
    """One number for each query; the value that is reported is their mean."""

    @abstractmethod
    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """float64, shape ``(Q,)``; NaN where a query does not count.

        The number of a query depends on its own answer alone.
        """


class Aggregate(Judged):
    """One number for all queries together, which is no mean.

    Answers come tile by tile: each is summed up in an array, and arrays are merged in any order.
    """

    @abstractmethod
    def summary(self, answers: Answers, k: int) -> np.ndarray:
        """What there is to know about some answers; of the same shape for all of them."""

    @abstractmethod
    def merged(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The summary of both; it must not depend on the order, so no sums of floats."""

    @abstractmethod
    def value(self, summary: np.ndarray) -> float:
        """The number that is reported."""
