"""Causal self-attention over the latest items of a session."""

from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from erase_ray.models import _init
from erase_ray.models._attention import EPS, STD, Block
from erase_ray.models._base import MODELS, Shape, TrainingSettings
from erase_ray.models._dropout import Dropout
from erase_ray.models._flat import Flat
from erase_ray.models._session_model import SessionModel
from erase_ray.models._tied import tied
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import WindowBatch


@MODELS.register
class SasRec(SessionModel):
    """Item and position vectors, blocks of causal attention; scores are inner products.

    Paper: Kang, McAuley: "Self-Attentive Sequential Recommendation", ICDM 2018.
    Differs from it: blocks as in BERT (norm behind the residual, exact GELU) and cross entropy of
    the item behind the window over the whole catalogue, instead of one negative at every step, as
    in the benchmark. Positions count from the oldest item of the window. Only the last row of the
    last block is used, so only that is computed.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=60, batch_size=256, patience=10, select_metric="mrr", select_k=10
    )

    class Settings(Frozen):
        """Settings of `SasRec`."""

        embedding_size: int = Field(default=32, ge=1)
        """Length of the item and position vectors, a multiple of ``num_heads``."""
        num_layers: int = Field(default=2, ge=1)
        """Number of blocks."""
        num_heads: int = Field(default=2, ge=1)
        """Heads of the attention in each block."""
        inner_size: int = Field(default=128, ge=1)
        """Length of the rows between the two dense layers of a block."""
        dropout: float = Field(default=0.5, ge=0, lt=1)
        """Share of the entries that training drops at the input and before each residual."""
        attention_dropout: float = Field(default=0.5, ge=0, lt=1)
        """Share of the attention weights that training drops."""
        max_length: int = Field(default=50, ge=1)
        """Longest window, in items."""

        @model_validator(mode="after")
        def _heads_share_evenly(self) -> Any:
            if self.embedding_size % self.num_heads:
                raise ValueError(
                    f"embedding_size {self.embedding_size} is no multiple of "
                    f"num_heads {self.num_heads}"
                )
            return self

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width = settings.embedding_size
        self.position_embedding = nn.Embedding(settings.max_length, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(settings.dropout)
        sizes = (width, settings.num_heads, settings.inner_size)
        self.blocks = nn.ModuleList(
            Block(*sizes, settings.dropout, settings.attention_dropout)
            for _ in range(settings.num_layers)
        )

    def reset(self, generator: torch.Generator) -> None:
        """Tables and weights N(0, 0.02^2), biases 0, norms the identity."""
        _init.normal(self.item_embedding.weight, STD, generator)
        _init.normal(self.position_embedding.weight, STD, generator)
        self.norm.reset_parameters()
        for block in self.blocks:
            assert isinstance(block, Block)
            block.reset(generator)

    def session(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The vector of each window, shape ``(B, D)``, and the item table."""
        flat = Flat.of(batch)
        row_BL = flat.padded()
        items_ND, table_ID = tied(self.item_embedding.weight, flat.item_N)
        rows_ND = items_ND + self.position_embedding.weight.index_select(0, flat.step_N)
        rows_ND = self.dropout(self.norm(rows_ND), "steps")
        *blocks, last = self.blocks
        for block in blocks:
            rows_ND = block(rows_ND, flat, row_BL)
        assert isinstance(last, Block)
        return last.last(rows_ND, flat, row_BL), table_ID
