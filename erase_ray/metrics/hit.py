"""Whether anything right was found."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Hit(Metric):
    """1 where a relevant item is among the first k, else 0.

    Paper: none; the textbook definition (next-basket papers call its mean PHR).
    """

    grouped: ClassVar[bool] = True

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """0 or 1; NaN where nothing is relevant."""
        found_Q = answers.num_hits(k) > 0
        return np.where(answers.relevant.lengths > 0, found_Q, np.nan)
