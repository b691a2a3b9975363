"""An encoder and decoder over baskets, mixed with how often each item was bought before."""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import _init
from erase_ray.models._base import MODELS, Model, Shape, TrainingSettings
from erase_ray.models._block_table import BlockTable
from erase_ray.models._gru import PackedGru
from erase_ray.models._narrow import RowTable
from erase_ray.models._packing import Packing
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import BasketBatch

COUNT_BLOCK = 1024


@MODELS.register
class Sets2Sets(Model):
    """A GRU reads basket vectors, one decoder step with attention predicts the next basket.

    The repeat gate is a table over all pairs of items, of which an example needs the block of the
    items in its history (see :class:`BlockTable` for how it is trained).

    Paper: Hu, He: "Sets2Sets: Learning from Sequential Sets with Neural Networks", KDD 2019.
    Differs from it, as the benchmark does: basket vectors are sums, attention is masked to the
    baskets there are, and the pairwise set loss, whose gradient is zero, is left out. Differs
    from both: item weights come from training histories alone, attention has a row for each of
    ``max_history`` baskets and none for padding.
    """

    task = "next_basket"
    version: ClassVar[int] = 3
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=20, batch_size=1, patience=100, select_metric="recall", select_k=10
    )

    class Settings(Frozen):
        """Settings of `Sets2Sets`."""

        embedding_size: int = Field(default=32, ge=1)
        """Length of the item vectors and of the recurrent state."""
        max_history: int = Field(default=98, ge=1)
        """Most baskets of a history that are read, the latest."""
        item_weights: Literal["inverse_frequency", "none"] = "inverse_frequency"
        """Weight of an item in the loss: the paper's max_j n_j / n_i, or 1 for all. With a long
        tail the paper's reach thousands, which spoils the ranking (docs/fidelity.md)."""

    item_weights_I: Tensor

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, items = settings.embedding_size, shape.num_items
        self.encoder_embedding = RowTable(items, width)
        self.decoder_embedding = RowTable(items, width)
        self.encoder = PackedGru(width, width, bias=True)
        self.attention = nn.Linear(2 * width, settings.max_history)
        self.combine = nn.Linear(2 * width, width)
        self.decoder = nn.GRUCell(width, width)
        self.output = nn.Linear(width, items)
        self.gate = BlockTable(items)
        self.gate_bias = nn.Parameter(torch.zeros(items))
        self.register_buffer("item_weights_I", torch.ones(items))

    @property
    def max_history(self) -> int:
        """Most baskets of a history that are read."""
        return self.settings.max_history

    def reset(self, generator: torch.Generator) -> None:
        """Tables N(0, 0.02), matrices Xavier-uniform, biases 0; item weights 1."""
        self.item_weights_I.fill_(1)
        for name, weight in self.named_parameters():
            if "bias" in name:
                nn.init.zeros_(weight)
            elif "embedding" in name:
                _init.normal(weight, 0.02, generator)
            else:
                _init.xavier_uniform(weight, generator)

    def prepare(self, examples: Any) -> None:
        """Weigh item i by max_j n_j / n_i, where n counts items of histories; 0 where n_i is 0."""
        if self.settings.item_weights == "none":
            return
        count_I = torch.zeros_like(self.item_weights_I, dtype=torch.int64)
        positions = torch.arange(len(examples), device=count_I.device)
        for index in positions.split(COUNT_BLOCK):
            count_I += torch.bincount(examples.inputs(index).item_M, minlength=len(count_I))
        weights_I = count_I.max() / count_I.clamp(min=1)
        self.item_weights_I.copy_(torch.where(count_I > 0, weights_I, 0))

    def loss(self, batch: BasketBatch) -> Tensor:
        """Weighted squared error of the probabilities, summed over all items, shape ``(B,)``."""
        assert batch.target_T is not None
        assert batch.target_owner_T is not None
        probability_BI = torch.softmax(self.scores(batch), dim=1)
        wanted_BI = torch.zeros_like(probability_BI)
        wanted_BI[batch.target_owner_T, batch.target_T] = 1
        return (probability_BI - wanted_BI).square() @ self.item_weights_I

    def scores(self, batch: BasketBatch) -> Tensor:
        """Logits of all items, shape ``(B, I)``; they rank as the probabilities do."""
        logits_BI = self.output(self._decode(batch))
        return self._mix(logits_BI.to(self.gate_bias.dtype), batch)  # autocast has halved them

    def represent(self, batch: BasketBatch) -> Tensor:
        """The decoder's state, shape ``(B, D)``, which the repeat gate does not enter."""
        return self._decode(batch)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The output layer and the bias of the repeat gate."""
        return self.pick("output.weight", "output.bias", "gate_bias")

    def row_tables(self) -> dict[str, nn.Parameter]:
        """The tables of the encoder and the decoder."""
        return self.pick("encoder_embedding.weight", "decoder_embedding.weight")

    def item_tables(self) -> dict[str, nn.Parameter]:
        """Both item tables, the output layer and the repeat gate."""
        tables = self.pick("encoder_embedding.weight", "decoder_embedding.weight")
        return tables | self.pick("output.weight", "output.bias", "gate.weight", "gate_bias")

    def _decode(self, batch: BasketBatch) -> Tensor:
        """The decoder's state, shape ``(B, D)``."""
        if len(batch) == 1:
            return self._decode_one(batch)
        num_B, owner_K = batch.num_baskets_B, batch.owner_K
        end_B = num_B.cumsum(0)
        step_K = torch.arange(len(owner_K), device=owner_K.device) - (end_B - num_B)[owner_K]
        state_KD = self._encode(batch, step_K)
        state_BD = state_KD[end_B - 1]
        latest_BD = self._latest(batch, end_B - 1)
        share_K = self._attend(torch.cat([latest_BD, state_BD], 1), num_B)[owner_K, step_K]
        context_BD = _sums(share_K[:, None] * state_KD, owner_K, len(batch))
        return self._answer(latest_BD, context_BD, state_BD)

    def _decode_one(self, batch: BasketBatch) -> Tensor:
        """The same for one example, which is what training takes by default: fewer operations."""
        num = len(batch.owner_K)
        vectors_KD = _sums(self.encoder_embedding(batch.item_M), batch.basket_M, num)
        state_KD = self.encoder.run(vectors_KD, [1] * num)
        state_1D = state_KD[num - 1 :]
        latest_1D = _sums(self.decoder_embedding(batch.item_M), batch.basket_M, num)[num - 1 :]
        energy_1T = self.attention(torch.cat([latest_1D, state_1D], 1))[:, :num]
        context_1D = torch.softmax(energy_1T, 1) @ state_KD
        return self._answer(latest_1D, context_1D, state_1D)

    def _answer(self, latest_BD: Tensor, context_BD: Tensor, state_BD: Tensor) -> Tensor:
        mixed_BD = torch.relu(self.combine(torch.cat([latest_BD, context_BD], 1)))
        return self.decoder(mixed_BD, state_BD)

    def _encode(self, batch: BasketBatch, step_K: Tensor) -> Tensor:
        """The encoder's state after each basket, shape ``(K, D)``."""
        vectors_KD = _sums(self.encoder_embedding(batch.item_M), batch.basket_M, len(step_K))
        packing = Packing.of(batch.num_baskets_B)
        place_K = packing.place(batch.owner_K, step_K)
        packed_ND = torch.zeros_like(vectors_KD).index_copy(0, place_K, vectors_KD)
        return self.encoder.run(packed_ND, packing.sizes)[place_K]

    def _latest(self, batch: BasketBatch, last_B: Tensor) -> Tensor:
        """Sums of the decoder's vectors over the latest baskets, shape ``(B, D)``."""
        owner_M = batch.owner_K[batch.basket_M]
        inside = batch.basket_M == last_B[owner_M]
        vectors_XD = self.decoder_embedding(batch.item_M[inside])
        return _sums(vectors_XD, owner_M[inside], len(batch))

    def _attend(self, query_BX: Tensor, num_B: Tensor) -> Tensor:
        """The share of each basket, shape ``(B, T)`` with T the longest history present."""
        longest = int(num_B.max())
        weight_TX, bias_T = self.attention.weight[:longest], self.attention.bias[:longest]
        energy_BT = functional.linear(query_BX, weight_TX, bias_T)
        behind_BT = torch.arange(longest, device=num_B.device) >= num_B[:, None]
        return torch.softmax(energy_BT.masked_fill(behind_BT, float("-inf")), dim=1)

    def _mix(self, logits_BI: Tensor, batch: BasketBatch) -> Tensor:
        """Move the logits of items of the history toward their share of the baskets."""
        if len(batch) == 1:
            item_H, count_H = torch.unique(batch.item_M, return_counts=True)
            share_H = count_H / batch.num_baskets_B.to(logits_BI.dtype)
            return self._moved(logits_BI, item_H, item_H, share_H, [len(item_H)])
        num_items = self.shape.num_items
        owner_M = batch.owner_K[batch.basket_M]
        place_H, count_H = torch.unique(owner_M * num_items + batch.item_M, return_counts=True)
        owner_H, item_H = place_H // num_items, place_H % num_items
        share_H = count_H / batch.num_baskets_B[owner_H].to(logits_BI.dtype)
        sizes = torch.bincount(owner_H, minlength=len(batch)).tolist()
        return self._moved(logits_BI, place_H, item_H, share_H, sizes)

    def _moved(
        self,
        logits_BI: Tensor,
        place_H: Tensor,
        item_H: Tensor,
        share_H: Tensor,
        sizes: list[int],
    ) -> Tensor:
        energy_H = self.gate.products(item_H, share_H, sizes)
        gate_H = torch.sigmoid(energy_H + self.gate_bias.index_select(0, item_H))
        flat = logits_BI.view(-1)
        change_H = gate_H * (share_H - flat.index_select(0, place_H))
        return flat.index_add(0, place_H, change_H).view_as(logits_BI)


def _sums(values_XD: Tensor, group_X: Tensor, num_groups: int) -> Tensor:
    """The sum of the rows of each group."""
    zeros_GD = values_XD.new_zeros(num_groups, values_XD.shape[1])
    return zeros_GD.index_add(0, group_X, values_XD)
