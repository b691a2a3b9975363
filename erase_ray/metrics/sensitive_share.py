"""Whether people who asked to forget still see what they wanted forgotten."""

from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class SensitiveShare(Metric):
    """1 where a sensitive item is among the first k that a requester is shown, else 0.

    The value to reach is the retrained model's, not zero. In the spam scenario the items are the
    promoted ones, and this is their hit rate.
    Paper: none; the effectiveness measure of the benchmark.
    """

    better: ClassVar[Literal["up", "down"]] = "down"
    asks: ClassVar[Literal["test", "probe"]] = "probe"

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """0 or 1 for every query."""
        return (answers.shown(k) > 0).astype(np.float64)
