"""How much of what was shown is right."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Precision(Metric):
    """Share of the first k places that hold a relevant item; empty places count as wrong ones.

    Paper: none; the textbook definition.
    """

    grouped: ClassVar[bool] = True

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """Hits over k; NaN where nothing is relevant."""
        return np.where(answers.relevant.lengths > 0, answers.num_hits(k) / k, np.nan)
