"""How often sensitive items would be seen if lists were drawn."""

from typing import ClassVar, Literal

import numpy as np

from erase_ray.metrics._base import METRICS, Answers, Metric


@METRICS.register
class SensitiveByChance(Metric):
    """Chance that one of k different items, drawn from the whole catalogue, is sensitive.

    What ``sensitive_share`` would be with lists that know nothing: with E sensitive ones among I
    items, 1 - C(I - E, k) / C(I, k). What a query masks is not left out of the draw.
    Paper: none; the hypergeometric distribution.
    """

    better: ClassVar[Literal["up", "down"]] = "down"
    asks: ClassVar[Literal["test", "probe"]] = "probe"

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        """The same for every query."""
        left_K = answers.num_items - np.arange(min(k, answers.num_items))
        harmless_K = np.maximum(left_K - np.count_nonzero(answers.items_I), 0)
        return np.full(len(answers), 1 - np.prod(harmless_K / left_K))
