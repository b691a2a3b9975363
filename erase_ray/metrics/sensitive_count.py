"""How much people who asked to forget still see of what they wanted forgotten."""

from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class SensitiveCount(Metric):
    """Number of sensitive (or promoted) items among the first k that a requester is shown.

    The value to reach is the retrained model's, not zero.
    Paper: none; an effectiveness measure of the benchmark.
    """

    unit: ClassVar[str] = "items"
    better: ClassVar[Literal["up", "down"]] = "down"
    asks: ClassVar[Literal["test", "probe"]] = "probe"

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """0 to k for every query."""
        return answers.shown(k).astype(np.float64)
