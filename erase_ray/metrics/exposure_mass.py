"""How probable the sensitive items are."""

from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class ExposureMass(Metric):
    """Softmax probability of all sensitive (or promoted) items together, for a requester.

    The softmax is over the items that a query ranks; those that it masks have none. The value to
    reach is the retrained model's, not zero.
    Paper: none; an effectiveness measure of the benchmark.
    """

    better: ClassVar[Literal["up", "down"]] = "down"
    asks: ClassVar[Literal["test", "probe"]] = "probe"
    has_cutoff: ClassVar[bool] = False

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """From 0 to 1; NaN where it was not asked for."""
        return answers.known_exposure.mass_Q.astype(np.float64)
