"""The most popular items, in everybody's next basket."""

from typing import ClassVar

from erase_ray.models._base import MODELS, TrainingSettings
from erase_ray.models._popularity import Popularity


@MODELS.register
class PopBasket(Popularity):
    """The score of an item is the number of training baskets it lies in, the same for all users.

    Paper: none; called G-TopFreq in Li et al., "A Next Basket Recommendation Reality Check",
    TOIS 2023.
    """

    task = "next_basket"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=1, select_metric="recall", select_k=10
    )

    @property
    def max_history(self) -> int:
        """1: the history is not read, but it cannot be empty."""
        return 1
