"""How often each item was chosen: what the popularity baselines of all tasks have in common."""

from typing import Any

import torch
from torch import Tensor

from erase_ray.models._base import Shape
from erase_ray.models._baseline import Baseline, TrainingRows


class Popularity(Baseline):
    """The score of an item is the number of its training rows, whoever asks.

    A number of rows, not of people: who chose an item twice counts twice.
    """

    count_I: Tensor

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("count_I", torch.zeros(shape.num_items, dtype=torch.int64))

    def fit(self, rows: TrainingRows) -> None:
        """Count."""
        self.count_I = torch.bincount(rows.item_N, minlength=self.shape.num_items)

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """Subtract, in time proportional to the number of rows."""
        item_J, gone_J = torch.unique(rows.item_N, return_counts=True)
        assert bool((self.count_I[item_J] >= gone_J).all())
        self.count_I.index_add_(0, item_J, -gone_J)
        return {"step_norm": float(gone_J.double().norm())}

    def scores(self, batch: Any) -> Tensor:
        """The counts in float64, which holds them exactly, shape ``(B, I)``."""
        return self.count_I.double().expand(len(batch), -1)
