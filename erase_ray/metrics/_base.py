"""The contract of a metric."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from erase_ray.data.csr import Csr
from erase_ray.registry import Registry

METRICS: "Registry[Metric]" = Registry("metric", "erase_ray.metrics")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model ranked highest, with what is needed to judge it.

    Args:
        ranked_QK: Item ids, best first, int32, shape ``(Q, K)``; -1 behind the last item.
        relevant: Items that would be right, by query.
        items_I: bool, shape ``(I,)``: the items whose exposure is measured.
    """

    ranked_QK: np.ndarray
    relevant: Csr
    items_I: np.ndarray

    def hits(self, k: int) -> np.ndarray:
        """bool, shape ``(Q, k)``: True where the item at that rank is relevant."""
        return self._hits_QK[:, :k]

    @cached_property
    def _hits_QK(self) -> np.ndarray:
        width = np.int64(max(len(self.items_I), 1))
        keys = np.sort(self.relevant.owners * width + self.relevant.values)
        if not len(keys):
            return np.zeros(self.ranked_QK.shape, bool)
        ranked = self.ranked_QK.astype(np.int64)
        found = np.arange(len(ranked), dtype=np.int64)[:, None] * width + ranked
        place = np.searchsorted(keys, found).clip(max=len(keys) - 1)
        return (keys[place] == found) & (ranked >= 0)


class Metric(ABC):
    """One number for each query; the value that is reported is their mean."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    unit: ClassVar[str] = "share"
    better: ClassVar[Literal["up", "down"]] = "up"
    asks: ClassVar[Literal["test", "probe"]] = "test"
    """Which answers it judges: those to the test queries, or those to the requesters' probes."""

    @abstractmethod
    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """float64, shape ``(Q,)``; NaN where a query does not count."""
