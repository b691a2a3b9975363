"""The most popular items, after every session."""

from typing import ClassVar

from erase_ray.models._base import MODELS, TrainingSettings
from erase_ray.models._popularity import Popularity


@MODELS.register
class PopSession(Popularity):
    """The score of an item is the number of its training rows, whatever the session shows.

    The first row of a session counts as well: it is training data, though no target. An item that
    a session repeats counts as often as it is there.

    Paper: none.
    """

    task = "session_based"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=1, select_metric="mrr", select_k=10
    )

    @property
    def max_history(self) -> int:
        """1: the window is not read, but it cannot be empty."""
        return 1
