"""How far up the first right item stands."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Mrr(Metric):
    """One over the rank of the first relevant item, 0 where it is not among the first k.

    Paper: none; the textbook definition.
    """

    grouped: ClassVar[bool] = True

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 0 to 1; NaN where nothing is relevant."""
        first_Q = answers.first_hit
        reciprocal_Q = (first_Q <= k) / first_Q
        return np.where(answers.relevant.lengths > 0, reciprocal_Q, np.nan)
