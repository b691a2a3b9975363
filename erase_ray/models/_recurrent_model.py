"""What session models have in common that read a window with a recurrent network."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from erase_ray.models._base import Shape
from erase_ray.models._dropout import Dropout
from erase_ray.models._gru import PackedGru
from erase_ray.models._packing import Packing
from erase_ray.models._session_model import SessionModel
from erase_ray.models._tied import tied
from erase_ray.tasks._batches import WindowBatch


@dataclass(frozen=True, eq=False)
class Reading:
    """What a network makes of a batch of windows.

    Args:
        states_NH: State after each packed row.
        last_BH: State after the last item of each window.
        packing: Where the rows lie.
        table_ID: The item table, to compare the vectors of the windows with.
    """

    states_NH: Tensor
    last_BH: Tensor
    packing: Packing
    table_ID: Tensor


class RecurrentModel(SessionModel):
    """Item vectors, dropout and a GRU without biases; settings have ``hidden_size``."""

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__(settings, shape)
        self.dropout = Dropout(settings.dropout)
        self.gru = PackedGru(settings.embedding_size, settings.hidden_size, bias=False)

    def read(self, batch: WindowBatch) -> Reading:
        """Run the network over the windows."""
        packing = Packing.of(batch.length_B, batch.sizes)
        item_N = batch.items_BL[packing.sequence_N, packing.step_N]
        inputs_ND, table_ID = tied(self.item_embedding.weight, item_N)
        states_NH = self.gru.run(self.dropout(inputs_ND, "packed"), packing.sizes)
        last_BH = states_NH.index_select(0, packing.last(batch.length_B))
        return Reading(states_NH, last_BH, packing, table_ID)
