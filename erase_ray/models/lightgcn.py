"""Matrix factorisation whose vectors are averaged over the neighbours in the graph."""

from pydantic import Field
from torch import Tensor

from erase_ray.models._base import MODELS
from erase_ray.models._graph_model import GraphModel, GraphSettings, pair_loss
from erase_ray.models._graph_rows import propagate_rows
from erase_ray.models._share import batch_size
from erase_ray.tasks._batches import PairBatch


@MODELS.register
class LightGcn(GraphModel):
    """Vectors are the mean over the layers of a propagation; scores are inner products.

    Paper: He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
    Recommendation", SIGIR 2020.
    Differs from it: two layers and Xavier-uniform initial vectors, as in the benchmark. Several
    edges between a user and an item count as one. With ``penalty_form="norm"`` the penalty is
    that of the benchmark's reference: the mean of the loss over a batch holds
    ``penalty * (sum of lengths) / B``.
    """

    collapses = True

    class Settings(GraphSettings):
        """Settings of `LightGcn`."""

        num_layers: int = Field(default=2, ge=1)
        """Steps of the propagation."""

    def loss(self, batch: PairBatch) -> Tensor:
        """Pairwise loss after propagation and penalty on the vectors before it, ``(B,)``."""
        ego_ND, node_3B = self._ego(), self._nodes(batch)
        rows_TD = propagate_rows(self.graph, ego_ND, self.num_layers, node_3B)
        loss_B = pair_loss(rows_TD.view(3, len(batch), -1))
        if not self.settings.penalty:
            return loss_B
        return loss_B + self._penalty(ego_ND, node_3B, batch_size(len(batch)))
