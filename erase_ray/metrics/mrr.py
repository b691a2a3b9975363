"""How far up the first right item stands."""

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Mrr(Metric):
    """One over the rank of the first relevant item, 0 where it is not among the first k.

    Paper: none; the textbook definition.
    """

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 0 to 1; NaN where nothing is relevant."""
        hits_QK = answers.hits(k)
        reciprocal = hits_QK.any(axis=1) / (hits_QK.argmax(axis=1) + 1)
        return np.where(answers.relevant.lengths > 0, reciprocal, np.nan)
