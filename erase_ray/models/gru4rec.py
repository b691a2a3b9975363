"""A recurrent network over the latest items of a session."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.models import _init
from erase_ray.models._base import MODELS, Shape, TrainingSettings
from erase_ray.models._recurrent_model import RecurrentModel
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import WindowBatch


@MODELS.register
class Gru4Rec(RecurrentModel):
    """Item vectors, dropout, GRU, a dense layer; scores are inner products with the item vectors.

    Paper: Tan et al., "Improved Recurrent Neural Networks for Session-based Recommendations",
    DLRS 2016; Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks",
    ICLR 2016.
    Differs from them: one window a target instead of session-parallel batches, cross entropy over
    the whole catalogue instead of sampled negatives, and the dense layer, as in the benchmark.
    """

    version = 2
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=100, batch_size=256, patience=10, select_metric="mrr", select_k=10
    )

    class Settings(Frozen):
        """Settings of `Gru4Rec`."""

        embedding_size: int = Field(default=64, ge=1)
        """Length of the item vectors."""
        hidden_size: int = Field(default=128, ge=1)
        """Length of the recurrent state."""
        dropout: float = Field(default=0.3, ge=0, lt=1)
        """Share of the entries of the item vectors that training drops at the input."""
        max_length: int = Field(default=50, ge=1)
        """Longest window, in items."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.dense = nn.Linear(settings.hidden_size, settings.embedding_size)

    def reset(self, generator: torch.Generator) -> None:
        """Xavier-normal items, Xavier-uniform GRU, dense layer U(-1/sqrt(H), 1/sqrt(H))."""
        _init.xavier_normal(self.item_embedding.weight, generator)
        _init.xavier_uniform(self.gru.weight_ih_l0, generator)
        _init.xavier_uniform(self.gru.weight_hh_l0, generator)
        bound = self.settings.hidden_size**-0.5
        _init.uniform(self.dense.weight, bound, generator)
        _init.uniform(self.dense.bias, bound, generator)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The item table, which is the output layer as well, and the dense layer."""
        return self.pick("item_embedding.weight", "dense.weight", "dense.bias")

    def session(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The vector of each window, shape ``(B, D)``, and the item table."""
        reading = self.read(batch)
        return self.dense(reading.last_BH), reading.table_ID
