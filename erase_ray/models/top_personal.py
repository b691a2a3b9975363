"""What a user bought most often so far."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.models._base import MODELS, TrainingSettings
from erase_ray.models._popularity import Popularity
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import BasketBatch


@MODELS.register
class TopPersonal(Popularity):
    """The score of an item is the number of baskets of the user's history that it lies in.

    The history comes with the question; only the counts of all items are learned, which order
    items that the history has equally often, those it does not have included.

    Paper: Hu, He, Gao, Zhang, "Modeling Personalized Item Frequency Information for Next-basket
    Recommendation", SIGIR 2020; Li et al., "A Next Basket Recommendation Reality Check", TOIS
    2023, where it is GP-TopFreq and, without ``backfill``, P-TopFreq.
    Differs from them: they leave open how items of the same frequency are ordered.
    """

    task = "next_basket"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=1, select_metric="recall", select_k=10
    )

    class Settings(Frozen):
        """Settings of `TopPersonal`."""

        backfill: bool = True
        """Order items of one frequency by the number of their training baskets, and fill lists up
        with the most popular items. If not, the lower id is first, and items that are not in the
        history are not recommended at all (a score of minus infinity)."""
        max_history: int = Field(default=1000, ge=1)
        """Longest history that is counted, in baskets."""

    @property
    def max_history(self) -> int:
        """Longest history, in baskets."""
        return self.settings.max_history

    def scores(self, batch: BasketBatch) -> Tensor:
        """Baskets with the item, plus its popularity as a share below 1; float64, ``(B, I)``."""
        num_items = self.shape.num_items
        cell_M = batch.owner_K[batch.basket_M] * num_items + batch.item_M
        ones_M = torch.ones(len(cell_M), dtype=torch.float64, device=cell_M.device)
        flat = ones_M.new_zeros(len(batch) * num_items).index_add_(0, cell_M, ones_M)
        baskets_BI = flat.view(len(batch), num_items)
        if not self.settings.backfill:
            return baskets_BI.masked_fill(baskets_BI == 0, float("-inf"))
        # in float64: the share keeps its order beside the largest number of baskets
        return baskets_BI.add_(self.count_I / (self.count_I.max() + 1).double())
