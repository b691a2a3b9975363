"""Matrix factorisation trained on pairs of a chosen and an unchosen item."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import _init
from erase_ray.models._base import MODELS
from erase_ray.models._pair_model import PairModel
from erase_ray.models._sharded import products
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import PairBatch


@MODELS.register
class Bpr(PairModel):
    """The score is the inner product of a user vector and an item vector; no biases.

    Paper: Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
    Differs from it: no L2 penalty, as in the benchmark.
    """

    version: ClassVar[int] = 2

    class Settings(Frozen):
        """Settings of `Bpr`."""

        embedding_size: int = Field(default=64, ge=1)
        """Length of the user and item vectors."""

    def reset(self, generator: torch.Generator) -> None:
        """Xavier-normal tables: users, then items."""
        _init.xavier_normal(self.user_embedding.weight, generator)
        _init.xavier_normal(self.item_embedding.weight, generator)

    def loss(self, batch: PairBatch) -> Tensor:
        """Minus the log-probability that the chosen item is above the other, shape ``(B,)``."""
        assert batch.item_B is not None
        assert batch.negative_B is not None
        user_BD, item_BD = self.user_embedding(batch.user_B), self.item_embedding(batch.item_B)
        gap_BD = item_BD - self.item_embedding(batch.negative_B)
        return functional.softplus(-torch.linalg.vecdot(user_BD, gap_BD))

    def scores(self, batch: PairBatch) -> Tensor:
        """Inner products with all items, shape ``(B, I)``."""
        return products(self.represent(batch), self.item_embedding.weight)

    def row_tables(self) -> dict[str, nn.Parameter]:
        """Both tables."""
        return self.user_tables() | self.item_tables()

    def represent(self, batch: PairBatch) -> Tensor:
        """The vector of each user, shape ``(B, D)``."""
        return self.user_embedding(batch.user_B)
