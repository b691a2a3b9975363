"""Propagation over the graph, and two thinned views of it that should agree."""

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from erase_ray import seeds
from erase_ray.models._base import MODELS, Shape
from erase_ray.models._graph import Graph
from erase_ray.models._graph_model import GraphModel, GraphSettings, pair_loss
from erase_ray.models._graph_rows import propagate_rows
from erase_ray.models._info_nce import log_sum_exp
from erase_ray.models._share import batch_size
from erase_ray.tasks._batches import PairBatch


@MODELS.register
class Sgl(GraphModel):
    """As LightGCN, with a contrastive loss between two views of the graph that lack some edges.

    A node should be nearer to itself in the other view than the other users (or items) are.

    Paper: Wu et al., "Self-supervised Graph Learning for Recommendation", SIGIR 2021; edge
    dropout (SGL-ED).
    Differs from it: Xavier-uniform initial vectors, the benchmark's weights, and all users and
    items as negatives, not those of the batch alone; several edges between a user and an item add
    up, as in the benchmark. With ``penalty_form="norm"`` the penalty is that of the benchmark's
    reference: the sum of the loss over a batch holds ``penalty * (sum of lengths) / B``.
    """

    collapses = False

    class Settings(GraphSettings):
        """Settings of `Sgl`."""

        num_layers: int = Field(default=3, ge=1)
        """Steps of the propagation."""
        edge_dropout: float = Field(default=0.1, ge=0, lt=1)
        """Share of the edges that a view lacks."""
        contrast: float = Field(default=0.1, ge=0)
        """Weight of the contrastive loss."""
        temperature: float = Field(default=0.2, gt=0)
        """Divides the cosines in the contrastive loss."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self._views: list[View] = []

    def set_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Build the graph; there are no views of it until an epoch starts."""
        super().set_edges(user_E, item_E)
        self._views = []

    def drop_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take edges out of the graph and out of the views that have them."""
        copy_E = self.graph.drop(user_E, item_E)
        for view in self._views:
            view.graph.drop(*view.own(user_E, item_E, copy_E))
        self._scored = None

    def restore_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Put edges back, also into the views that had them."""
        copy_E = self.graph.restore(user_E, item_E)
        for view in self._views:
            view.graph.restore(*view.own(user_E, item_E, copy_E))
        self._scored = None

    def start_epoch(self, seed: int) -> None:
        """Draw the two views of the edges that are there now."""
        self._views = [View.of(self.graph, self.settings.edge_dropout, seed, i) for i in (0, 1)]

    def loss(self, batch: PairBatch) -> Tensor:
        """Pairwise loss, contrastive loss and penalty of each example, shape ``(B,)``.

        In eval mode, and before the first epoch, both views are the whole graph.
        """
        ego_ND, node_3B = self._ego(), self._nodes(batch)
        if self.settings.contrast:
            loss_B = self._pair_and_contrast(ego_ND, node_3B, batch)
        else:
            rows_TD = propagate_rows(self.graph, ego_ND, self.num_layers, node_3B)
            loss_B = pair_loss(rows_TD.view(3, len(batch), -1))
        if not self.settings.penalty:
            return loss_B
        # a sum over the batch is to hold one part, not the mean
        return loss_B + self._penalty(ego_ND, node_3B, batch_size(len(batch)) ** 2)

    def _pair_and_contrast(self, ego_ND: Tensor, node_3B: Tensor, batch: PairBatch) -> Tensor:
        assert batch.item_B is not None
        first, second = self._two_graphs()
        table_ND = second.propagate(ego_ND, self.num_layers)

        def rows(graph: Graph, node_T: Tensor) -> Tensor:
            if graph is second:
                return table_ND.index_select(0, node_T)
            return propagate_rows(graph, ego_ND, self.num_layers, node_T)

        loss_B = pair_loss(rows(self.graph, node_3B).view(3, len(batch), -1))
        num_users = self.shape.num_users
        (user_G, of_user_B), (item_G, of_item_B) = map(_distinct, (batch.user_B, batch.item_B))
        query_GD = rows(first, torch.cat([user_G, item_G + num_users]))
        queries = query_GD.split([len(user_G), len(item_G)])
        tables = table_ND.split([num_users, self.shape.num_items])
        user_loss_G, item_loss_G = (
            info_nce(*sides, self.settings.temperature)
            for sides in zip(queries, tables, (user_G, item_G), strict=True)
        )
        contrast_B = user_loss_G.index_select(0, of_user_B) + item_loss_G.index_select(0, of_item_B)
        return loss_B + self.settings.contrast * contrast_B

    def _two_graphs(self) -> tuple[Graph, Graph]:
        if not self.training or not self._views:
            return self.graph, self.graph
        first, second = self._views
        return first.graph, second.graph


def info_nce(query_GD: Tensor, table_MD: Tensor, id_G: Tensor, temperature: float) -> Tensor:
    """Minus the log-share of row ``id`` of the table among all of its rows, shape ``(G,)``.

    The weight of a row is the exponential of its cosine with the query, divided by
    ``temperature``.
    """
    unit_GD = functional.normalize(query_GD) / temperature
    unit_MD = functional.normalize(table_MD)
    own_G = (unit_GD * unit_MD.index_select(0, id_G)).sum(1)
    return log_sum_exp(unit_GD, unit_MD) - own_G


def _distinct(id_B: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct ids and the place of each; only on the CPU, elsewhere it would wait for a count."""
    if id_B.device.type == "cpu":
        return torch.unique(id_B, return_inverse=True)  # type: ignore
    return id_B, torch.arange(len(id_B), device=id_B.device)


@dataclass(frozen=True, eq=False)
class View:
    """A graph that lacks some edges of another.

    Args:
        graph: What is left.
        seed: Of the hash that decides.
        limit: The highest hash of an edge that is left.
    """

    graph: Graph
    seed: int
    limit: Tensor

    @classmethod
    def of(cls, full: Graph, dropout: float, seed: int, number: int) -> "View":
        """A sample without replacement of ``floor((1 - dropout) * E)`` edges.

        Those are left whose hash is lowest. The hash is a function of the seed and of the edge's
        identity alone: user, item, and which of several edges between the two it is. Distinct
        edges have distinct hashes, so the number is exact; and without one edge of the graph the
        sample is the same but for that edge and at most one that takes or loses the last place.
        """
        seed = seeds.derive(seed, "view", number)
        key_G, count_G = full.pairs()
        hash_E, place_E = _hashes(seed, key_G, count_G, full.num_users * full.num_items)
        num_left = int(len(hash_E) * (1 - dropout))
        limit = hash_E.kthvalue(num_left).values if num_left else hash_E.new_tensor(-(2**63))
        place_E = place_E[hash_E <= limit] if num_left else place_E[:0]
        left_G = torch.bincount(place_E, minlength=len(key_G))
        is_left_G = left_G > 0
        sizes = (full.num_users, full.num_items)
        graph = Graph(key_G[is_left_G], left_G[is_left_G], *sizes, full.collapses)
        return cls(graph, seed, limit)

    def own(self, user_K: Tensor, item_K: Tensor, copy_K: Tensor) -> tuple[Tensor, Tensor]:
        """Those of some edges that were drawn for this view."""
        num_items = self.graph.num_items
        id_K = user_K * num_items + item_K + copy_K * (self.graph.num_users * num_items)
        own_K = seeds.hash_ids(self.seed, id_K) <= self.limit
        return user_K[own_K], item_K[own_K]


def _hashes(seed: int, key_G: Tensor, count_G: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """The hash of every single edge, and the position of its pair."""
    place_E = torch.repeat_interleave(torch.arange(len(key_G), device=key_G.device), count_G)
    copy_E = torch.arange(len(place_E), device=key_G.device)
    copy_E = copy_E - (count_G.cumsum(0) - count_G)[place_E]
    return seeds.hash_ids(seed, key_G[place_E] + copy_E * stride), place_E
