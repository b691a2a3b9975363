"""A recurrent network that attends to the items of a session."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.models import _init
from erase_ray.models._base import MODELS, Shape, TrainingSettings
from erase_ray.models._dropout import Dropout
from erase_ray.models._recurrent_model import RecurrentModel
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import WindowBatch


@MODELS.register
class Narm(RecurrentModel):
    """A GRU's last state beside a weighted sum of all its states; scores are inner products.

    With states h_1 ... h_t of a window, the weight of state j is ``v . sigmoid(A1 h_j + A2 h_t)``
    (no softmax) and the vector of the window ``B [sum of weighted states ; h_t]``, compared with
    all item vectors. There are no biases.

    Paper: Li et al., "Neural Attentive Session-based Recommendation", CIKM 2017.
    Differs from it: item vectors of length 64 instead of 50, as in the benchmark.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(
        epochs=30, batch_size=256, patience=10, select_metric="mrr", select_k=10
    )

    class Settings(Frozen):
        """Settings of `Narm`."""

        embedding_size: int = Field(default=64, ge=1)
        """Length of the item vectors."""
        hidden_size: int = Field(default=100, ge=1)
        """Length of the recurrent state."""
        dropout: float = Field(default=0.25, ge=0, lt=1)
        """Share of the entries of the item vectors that training drops at the input."""
        session_dropout: float = Field(default=0.5, ge=0, lt=1)
        """Share of the entries of the two parts of the session that training drops."""
        max_length: int = Field(default=50, ge=1)
        """Longest window, in items."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        width, hidden = settings.embedding_size, settings.hidden_size
        self.a_1 = nn.Linear(hidden, hidden, bias=False)
        self.a_2 = nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Linear(hidden, 1, bias=False)
        self.session_dropout = Dropout(settings.session_dropout)
        self.b = nn.Linear(2 * hidden, width, bias=False)

    def reset(self, generator: torch.Generator) -> None:
        """Xavier-normal items and linear layers, GRU U(-1/sqrt(H), 1/sqrt(H))."""
        bound = self.settings.hidden_size**-0.5
        _init.xavier_normal(self.item_embedding.weight, generator)
        _init.uniform(self.gru.weight_ih_l0, bound, generator)
        _init.uniform(self.gru.weight_hh_l0, bound, generator)
        for layer in (self.a_1, self.a_2, self.v, self.b):
            _init.xavier_normal(layer.weight, generator)

    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The item table, which is the output layer as well, and the layer before it."""
        return self.pick("item_embedding.weight", "b.weight")

    def session(self, batch: WindowBatch) -> tuple[Tensor, Tensor]:
        """The vector of each window, shape ``(B, D)``, and the item table."""
        reading = self.read(batch)
        states_NH, last_BH = reading.states_NH, reading.last_BH
        window_N = reading.packing.sequence_N
        asked_NH = self.a_2(last_BH).index_select(0, window_N)
        share_N1 = self.v(torch.sigmoid(self.a_1(states_NH) + asked_NH))
        parts_NH = (share_N1 * states_NH).to(last_BH.dtype)
        mixed_BH = torch.zeros_like(last_BH).index_add(0, window_N, parts_NH)
        return self.b(self.session_dropout(torch.cat([mixed_BH, last_BH], 1))), reading.table_ID
