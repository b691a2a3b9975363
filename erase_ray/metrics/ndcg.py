"""How much was found, and how far up."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class Ndcg(Metric):
    """Gain of the first k over that of the best possible list; rank j counts 1 / log2(j + 1).

    Paper: Järvelin and Kekäläinen: "Cumulated gain-based evaluation of IR techniques", ACM TOIS
    20(4), 2002; with gains of 0 and 1.
    """

    grouped: ClassVar[bool] = True

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 0 to 1; NaN where nothing is relevant."""
        discount_K = 1 / np.log2(np.arange(k) + 2)
        best_K = np.append(np.nan, discount_K.cumsum())
        gained_Q = np.zeros(len(answers))
        # rank by rank as in the best list, so that the best list has exactly 1
        for hit_Q, discount in zip(answers.hits(k).T, discount_K, strict=True):
            gained_Q += hit_Q * discount
        return gained_Q / best_K[np.minimum(answers.relevant.lengths, k)]
