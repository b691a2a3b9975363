"""The contract of a metric."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
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
        width = np.int64(max(len(self.items_I), 1))
        keys = self.relevant.owners * width + self.relevant.values
        ranked = self.ranked_QK[:, :k].astype(np.int64)
        found = np.arange(len(ranked), dtype=np.int64)[:, None] * width + ranked
        return np.isin(found, keys) & (ranked >= 0)


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
