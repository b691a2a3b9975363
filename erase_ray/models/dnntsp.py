"""Graph convolutions over the baskets of a history, attention over time, a gate for each item."""

from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models import _init
from erase_ray.models._base import MODELS, Model, Shape, TrainingSettings
from erase_ray.models._basket_attention import read
from erase_ray.models._basket_graphs import BasketGraphs
from erase_ray.models._share import batch_sum
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import BasketBatch


@MODELS.register
class Dnntsp(Model):
    """Items of a history exchange vectors basket by basket; the others keep their own.

    Paper: Yu et al., "Predicting Temporal Sets with Deep Neural Networks", KDD 2020.
    Differs from it, as the benchmark does: the initial weights, and histories are cut to
    ``max_history`` baskets. Differs from both: batch norm sees the steps there are, once each
    (``pad_steps``), and there is no padding item among the classes. Computed from the rows that
    differ (see :mod:`._basket_graphs` and :mod:`._basket_attention`), which is exact.
    """

    task = "next_basket"
    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=100, batch_size=64, patience=100, select_metric="recall", select_k=10
    )

    class Settings(Frozen):
        """Settings of `Dnntsp`."""

        embedding_size: int = Field(default=32, ge=1)
        """Length of all vectors."""
        num_layers: int = Field(default=2, ge=1)
        """Graph convolutions."""
        num_heads: int = Field(default=4, ge=1)
        """Heads of the attention; they share ``embedding_size``."""
        max_history: int = Field(default=48, ge=1)
        """Most baskets of a history that are read, the latest."""
        pad_steps: bool = False
        """True to fill up all histories of a training batch to the longest, with steps at which
        nothing mixes, as the reference does: batch norm sees those as well, so the result hangs on
        who shares a batch; if the longest has one step, it takes its running statistics."""

        @model_validator(mode="after")
        def _heads_are_equal(self) -> Self:
            if self.embedding_size % self.num_heads:
                raise ValueError(
                    f"embedding_size {self.embedding_size} is no multiple of num_heads "
                    f"{self.num_heads}"
                )
            return self

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, layers = settings.embedding_size, range(settings.num_layers)
        self.item_embedding = nn.Embedding(shape.num_items, width)
        self.convolutions = nn.ModuleList([nn.Linear(width, width) for _ in layers])
        self.norms = nn.ModuleList([StepNorm(width) for _ in layers])
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.importance = nn.Linear(width, 1, bias=False)
        self.output = nn.Linear(width, 1)
        self.gate = nn.Parameter(torch.zeros(shape.num_items))

    @property
    def max_history(self) -> int:
        """Most baskets of a history that are read."""
        return self.settings.max_history

    def reset(self, generator: torch.Generator) -> None:
        """Items N(0, 0.02), matrices Xavier-uniform, biases 0, gates U(0, 1), batch norms new."""
        for norm in self.norms:
            norm.reset_parameters()  # type: ignore
        for name, weight in self.named_parameters():
            if name == "gate":
                _init.uniform(weight, 0.5, generator)
                weight.data.add_(0.5)
            elif name == "item_embedding.weight":
                _init.normal(weight, 0.02, generator)
            elif not name.startswith("norms"):
                if weight.dim() == 2:
                    _init.xavier_uniform(weight, generator)
                else:
                    nn.init.zeros_(weight)

    def loss(self, batch: BasketBatch) -> Tensor:
        """Binary cross entropy of all items, their mean, shape ``(B,)``.

        Items outside the history have the same score for everyone, so their sum is made once.
        """
        assert batch.target_T is not None
        assert batch.target_owner_T is not None
        graphs, common_I, score_N = self._parts(batch)
        common_N = common_I.index_select(0, graphs.item_N)
        change_N = functional.softplus(score_N) - functional.softplus(common_N)
        key_T = batch.target_owner_T * self.shape.num_items + batch.target_T
        place_T = torch.searchsorted(graphs.key_N, key_T).clamp(max=len(graphs.key_N) - 1)
        is_repeat_T = graphs.key_N[place_T] == key_T
        target_T = torch.where(
            is_repeat_T,
            score_N.index_select(0, place_T),
            common_I.index_select(0, batch.target_T),
        )
        owner = torch.cat([graphs.owner_N, batch.target_owner_T])
        own_B = common_I.new_zeros(len(batch)).index_add(0, owner, torch.cat([change_N, -target_T]))
        return (own_B + functional.softplus(common_I).sum()) / self.shape.num_items

    def scores(self, batch: BasketBatch) -> Tensor:
        """Logits of all items, shape ``(B, I)``."""
        graphs, common_I, score_N = self._parts(batch)
        scores_BI = common_I.expand(len(batch), -1)
        return scores_BI.index_put((graphs.owner_N, graphs.item_N), score_N)

    def represent(self, batch: BasketBatch) -> Tensor:
        """The mean over the items of all baskets, each as often as it was bought, ``(B, D)``.

        An item's vector is that of its basket's graph, mixed by its gate with its own, as the
        output layer gets it; attention over time is left out.
        """
        graphs = BasketGraphs.of(batch, self.shape.num_items, False, self.gate)
        met_MD = self._convolve(graphs)[: len(batch.item_M)]
        gate_M1 = self.gate.index_select(0, batch.item_M)[:, None]
        mixed_MD = torch.lerp(self.item_embedding(batch.item_M), met_MD, gate_M1)
        owner_M = batch.owner_K[batch.basket_M]
        sums_BD = mixed_MD.new_zeros(len(batch), mixed_MD.shape[1]).index_add(0, owner_M, mixed_MD)
        return sums_BD / torch.bincount(owner_M, minlength=len(batch))[:, None]

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The item table, which the output layer reads, that layer, and the gates."""
        return self.pick("item_embedding.weight", "output.weight", "output.bias", "gate")

    def item_tables(self) -> dict[str, nn.Parameter]:
        """The item table and the gates."""
        return self.pick("item_embedding.weight", "gate")

    def _parts(self, batch: BasketBatch) -> tuple[BasketGraphs, Tensor, Tensor]:
        """The graphs, scores by item without a history, and by node with it."""
        pads = bool(self.settings.pad_steps and self.training)
        graphs = BasketGraphs.of(batch, self.shape.num_items, pads, self.gate)
        history_N = self._read(graphs, self._convolve(graphs))
        with torch.autocast(self.gate.device.type, enabled=False):
            own_I = self.item_embedding.weight @ self.output.weight[0]
        own_N = own_I.index_select(0, graphs.item_N)
        gate_N = self.gate.index_select(0, graphs.item_N)
        bias = self.output.bias
        return graphs, own_I + bias, torch.lerp(own_N, history_N, gate_N) + bias

    def _convolve(self, graphs: BasketGraphs) -> Tensor:
        """The vector of each row after all layers, shape ``(R, D)``."""
        values_RD = self.item_embedding(graphs.item_R)
        for linear, norm in zip(self.convolutions, self.norms, strict=True):
            mixed_RD = linear(graphs.links.mix(values_RD)).to(values_RD.dtype)
            values_RD = torch.relu(norm(mixed_RD, self._times(graphs), graphs.num_times))
        return values_RD

    def _times(self, graphs: BasketGraphs) -> Tensor | None:
        """How often each row counts in batch norm; None where running statistics are taken."""
        too_few = graphs.num_times < 2 or (self.settings.pad_steps and graphs.longest < 2)
        return None if too_few or not self.training else graphs.times_R

    def _read(self, graphs: BasketGraphs, values_RD: Tensor) -> Tensor:
        """The score of each node's history, shape ``(N,)``.

        Of the answer of the attention only two products are needed: with the importance of a step
        and with the output layer. They are taken of the values before, head by head.
        """
        heads, width = self.settings.num_heads, self.settings.embedding_size
        reads_2D = torch.cat([self.importance.weight, self.output.weight])
        value_HXD = self.value.weight.view(heads, -1, width)
        pairs_XD = (reads_2D.view(2, heads, 1, -1) @ value_HXD).view(2 * heads, width)
        scaled_DD = self.query.weight * (width // heads) ** -0.5
        weights = torch.cat([scaled_DD, self.key.weight, pairs_XD])
        found = functional.linear(values_RD, weights).to(values_RD.dtype)
        query, key, value = found.split([width, width, 2 * heads], 1)
        with torch.autocast(found.device.type, enabled=False):
            return read(graphs.visits, query, key, value)


class StepNorm(nn.BatchNorm1d):
    """Batch norm over rows, each of which stands for a number of steps."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, input: Tensor, times_R: Tensor | None, num_times: int) -> Tensor:
        """Rows in units of their spread, scaled and shifted.

        Args:
            input: Shape ``(R, D)``.
            times_R: Steps of each row; None to take the running statistics.
            num_times: Their sum over the batch, above 1.
        """
        mean_D, spread_D, centred_RD = self.running_mean, self.running_var, None
        if times_R is not None:
            with torch.autocast(input.device.type, enabled=False):
                mean_D = batch_sum(times_R @ input) / num_times
                centred_RD = input - mean_D
                spread_D = batch_sum(times_R @ centred_RD.square()) / num_times
            self._remember(mean_D.detach(), spread_D.detach() * (num_times / (num_times - 1)))
        scale_D = self.weight * (spread_D + self.eps).rsqrt()
        return (input - mean_D if centred_RD is None else centred_RD) * scale_D + self.bias

    def _remember(self, mean_D: Tensor, spread_D: Tensor) -> None:
        assert self.momentum is not None
        self.running_mean.lerp_(mean_D, self.momentum)
        self.running_var.lerp_(spread_D, self.momentum)
        self.num_batches_tracked.add_(1)
