"""How far up the relevant items stand."""

from typing import ClassVar

import numpy as np

from erase_ray.metrics import Answers, Metric


class AveragePrecision(Metric):
    """Mean of the precision at the rank of each relevant item among the first k.

    Items that are not among them count 0; at most k of them can be.
    Paper: Voorhees and Harman, "TREC: Experiment and Evaluation in Information Retrieval", 2005.
    """

    unit: ClassVar[str] = "share"

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 0 to 1; NaN where nothing is relevant."""
        hits_QK = answers.hits(k)
        precision_QK = np.cumsum(hits_QK, axis=1) / np.arange(1, hits_QK.shape[1] + 1)
        most_Q = np.minimum(answers.relevant.lengths, k)
        known_Q = np.where(most_Q > 0, most_Q, np.nan)
        return (precision_QK * hits_QK).sum(axis=1) / known_Q
