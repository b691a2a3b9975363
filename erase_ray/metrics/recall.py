"""How much of what is right was found."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Recall(Metric):
    """Share of a query's relevant items that are among the first k.

    Paper: none; the textbook definition.
    """

    grouped: ClassVar[bool] = True

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """Hits over the number of relevant items; NaN where nothing is relevant."""
        num_relevant = answers.relevant.lengths
        known = np.where(num_relevant > 0, num_relevant, np.nan)
        return answers.num_hits(k) / known
