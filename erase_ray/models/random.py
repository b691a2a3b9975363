"""Items in a random order, another one for each user."""

import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.models._base import MODELS, Shape
from erase_ray.models._baseline import Baseline, TrainingRows
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import PairBatch


@MODELS.register
class Random(Baseline):
    """The score is a hash of a drawn seed, the user and the item: uniform from 0 to 1.

    The same user gets the same scores in any batch; nothing is read from the data.

    Paper: none.
    """

    task = "cf"
    seed: Tensor

    def __init__(self, settings: Frozen, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def reset(self, generator: torch.Generator) -> None:
        """Draw the seed."""
        self.seed.copy_(torch.randint(1 << 62, (), generator=generator))

    def fit(self, rows: TrainingRows) -> None:
        """There is nothing to learn."""

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """There is nothing to unlearn."""
        return {"step_norm": 0.0}

    def scores(self, batch: PairBatch) -> Tensor:
        """Uniform numbers with 53 bits in float64, shape ``(B, I)``."""
        num_items = self.shape.num_items
        item_I = torch.arange(num_items, device=batch.user_B.device)
        drawn_BI = seeds.hash_ids(int(self.seed), batch.user_B[:, None] * num_items + item_I)
        return (drawn_BI >> 11 & (1 << 53) - 1).double() * 2.0**-53
