"""A gated graph network over the transitions of a session."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.models import _init
from erase_ray.models._base import MODELS, Shape, TrainingSettings
from erase_ray.models._flat import Flat
from erase_ray.models._gated_step import GatedStep
from erase_ray.models._session_graphs import SessionGraphs
from erase_ray.models._session_model import SessionModel
from erase_ray.models._tied import tied
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import WindowBatch


@MODELS.register
class SrGnn(SessionModel):
    """Items of a session exchange messages along its transitions; attention sums them up.

    Paper: Wu et al., "Session-based Recommendation with Graph Neural Networks", AAAI 2019.
    Differs from it: all parameters from U(-1/sqrt(D), 1/sqrt(D)) and one gated step, as in the
    benchmark. The step size is a tenth after every third epoch, so little is learnt after the
    ninth; ``decay_every`` 0 turns that off.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=30,
        batch_size=256,
        weight_decay=1e-5,
        decay_every=3,
        decay_factor=0.1,
        patience=10,
        select_metric="mrr",
        select_k=10,
    )

    class Settings(Frozen):
        """Settings of `SrGnn`."""

        embedding_size: int = Field(default=100, ge=1)
        """Length of the item vectors and of the states of the nodes."""
        num_steps: int = Field(default=1, ge=1)
        """How often neighbours exchange messages."""
        max_length: int = Field(default=50, ge=1)
        """Longest window, in items."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width = settings.embedding_size
        self.gated_step = GatedStep(width)
        self.attend_last = nn.Linear(width, width)
        self.attend_each = nn.Linear(width, width)
        self.attend = nn.Linear(width, 1, bias=False)
        self.dense = nn.Linear(2 * width, width)

    def reset(self, generator: torch.Generator) -> None:
        """Everything from U(-1/sqrt(D), 1/sqrt(D))."""
        for weight in self.parameters():
            _init.uniform(weight, self.settings.embedding_size**-0.5, generator)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The item table, which is the output layer as well, and the dense layer."""
        return self.pick("item_embedding.weight", "dense.weight", "dense.bias")

    def session(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The vector of each window, shape ``(B, D)``, and the item table.

        What the first step makes of an item alone is computed once for each distinct item of the
        batch.
        """
        weight_ID = self.item_embedding.weight
        graphs = SessionGraphs.of(Flat.of(batch), self.shape.num_items, weight_ID.dtype)
        items_UD, table_ID = tied(weight_ID, graphs.item_U)
        states_MD = self.gated_step(items_UD, graphs, graphs.place_M)
        for _ in range(self.settings.num_steps - 1):
            states_MD = self.gated_step(states_MD, graphs)
        return self._read_out(states_MD, graphs), table_ID

    def _read_out(self, states_MD: Tensor, graphs: SessionGraphs) -> Tensor:
        """Attention over the items of a window as seen from its latest, and the latest itself.

        All events with the same item have the same state and weight, so nodes are summed up, each
        as often as its item comes.
        """
        last_BD = states_MD.index_select(0, graphs.last_B)
        seen_MD = self.attend_last(last_BD).index_select(0, graphs.window_M)
        weight_M1 = self.attend(torch.sigmoid(self.attend_each(states_MD) + seen_MD))
        parts_MD = states_MD * (weight_M1 * graphs.count_M[:, None])
        sums_BD = torch.zeros_like(last_BD).index_add(0, graphs.window_M, parts_MD)
        return self.dense(torch.cat([sums_BD, last_BD], dim=1))
