"""How far down the sensitive items stand."""

from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class ExposureRank(Metric):
    """Mean rank of the sensitive (or promoted) items in the whole ranking that a requester gets.

    The first item has rank 1; items that a query masks come behind all that it ranks. The value to
    reach is the retrained model's, not the last rank.
    Paper: none; an effectiveness measure of the benchmark.
    """

    unit: ClassVar[str] = "rank"
    better: ClassVar[Literal["up", "down"]] = "up"
    asks: ClassVar[Literal["test", "probe"]] = "probe"
    has_cutoff: ClassVar[bool] = False

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 1 to the number of items + 1; NaN where it was not asked for."""
        return answers.known_exposure.rank_Q.astype(np.float64)
