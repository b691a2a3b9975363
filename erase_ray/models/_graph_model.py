"""What models over the graph of training edges have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from erase_ray.models import _init
from erase_ray.models._base import Shape
from erase_ray.models._graph import Graph
from erase_ray.models._graph_rows import propagate_rows
from erase_ray.models._pair_model import PairModel
from erase_ray.models._share import batch_sum
from erase_ray.settings import Frozen
from erase_ray.tasks._batches import PairBatch


class GraphSettings(Frozen):
    """Settings that graph models share."""

    embedding_size: int = Field(default=64, ge=1)
    """Length of the user and item vectors."""
    penalty: float = Field(default=1e-4, ge=0)
    """Weight of the penalty on the initial vectors that a batch reads."""
    penalty_form: Literal["squared", "norm"] = "squared"
    """``squared``: half the squared length of the three vectors of an example. ``norm``: the
    lengths of all user, all chosen and all drawn vectors of the batch, each taken as one long
    vector, not squared, shared out among the examples; then the loss of an example depends on
    the batch it is in."""


class GraphModel(PairModel):
    """Tables of initial vectors, the graph, and scores from the vectors after propagation."""

    has_edges = True
    collapses: ClassVar[bool]
    """Whether several edges between the same two count as one."""

    def __init__(self, settings: GraphSettings, shape: Shape) -> None:
        super().__init__(settings, shape)
        self._graph: Graph | None = None
        self._scored: tuple[Tensor, Tensor] | None = None
        self._is_scoring = False

    @property
    def num_layers(self) -> int:
        """Products with the graph's matrix."""
        return self.settings.num_layers

    @property
    def graph(self) -> Graph:
        """The graph of the training edges.

        Raises:
            RuntimeError: No edges were set.
        """
        if self._graph is None:
            raise RuntimeError(f"model '{self.name}' has no edges yet: call set_edges first")
        return self._graph

    def reset(self, generator: torch.Generator) -> None:
        """Xavier-uniform tables: users, then items."""
        _init.xavier_uniform(self.user_embedding.weight, generator)
        _init.xavier_uniform(self.item_embedding.weight, generator)

    def set_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Build the graph; see :meth:`Model.set_edges`."""
        size = (self.shape.num_users, self.shape.num_items)
        self._graph = Graph.of(user_E, item_E, size, self.collapses)
        self._scored = None

    def drop_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take edges out of the graph; see :meth:`Model.drop_edges`.

        Raises:
            ValueError: An edge is not there; nothing has changed then.
        """
        self.graph.drop(user_E, item_E)
        self._scored = None

    def restore_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Put edges back; see :meth:`Model.restore_edges`.

        Raises:
            ValueError: An edge was not dropped before; nothing has changed then.
        """
        self.graph.restore(user_E, item_E)
        self._scored = None

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Inside, the first :meth:`scores` propagates and the next ones use its result."""
        outer, self._is_scoring = self._is_scoring, True
        try:
            yield
        finally:
            self._is_scoring = outer
            if not outer:
                self._scored = None

    def scores(self, batch: PairBatch) -> Tensor:
        """Inner products with all items after propagation, shape ``(B, I)``."""
        user_UD, item_ID = self._scored or self._propagated()
        if self._is_scoring:
            self._scored = (user_UD, item_ID)
        return user_UD[batch.user_B] @ item_ID.T

    def represent(self, batch: PairBatch) -> Tensor:
        """The vector of each user after propagation, shape ``(B, D)``."""
        return propagate_rows(self.graph, self._ego(), self.num_layers, batch.user_B)

    def _ego(self) -> Tensor:
        """Initial vectors of all nodes, shape ``(N, D)``."""
        return torch.cat([self.user_embedding.weight, self.item_embedding.weight])

    def _propagated(self) -> tuple[Tensor, Tensor]:
        table_ND = self.graph.propagate(self._ego(), self.num_layers)
        user_UD, item_ID = table_ND.split([self.shape.num_users, self.shape.num_items])
        return user_UD, item_ID

    def _penalty(self, ego_ND: Tensor, node_3B: Tensor, shares: int) -> Tensor:
        """Weighted penalty, shape ``(B,)``; ``norm`` in ``shares`` equal parts."""
        squares_3B = squares(ego_ND, node_3B)
        if self.settings.penalty_form == "squared":
            return self.settings.penalty * 0.5 * squares_3B.sum(0)
        return (self.settings.penalty * lengths(squares_3B) / shares).expand(len(squares_3B[0]))

    def _nodes(self, batch: PairBatch) -> Tensor:
        """Users, chosen and drawn items of a batch as nodes, shape ``(3B,)``."""
        assert batch.item_B is not None
        assert batch.negative_B is not None
        item_2B = torch.cat([batch.item_B, batch.negative_B])
        return torch.cat([batch.user_B, item_2B + self.shape.num_users])


def pair_loss(rows_3BD: Tensor) -> Tensor:
    """Minus the log-probability that the chosen item is above the other, shape ``(B,)``.

    Args:
        rows_3BD: Vectors of users, of chosen and of drawn items, shape ``(3, B, D)``.
    """
    user_BD, item_BD, negative_BD = rows_3BD
    return functional.softplus(-(user_BD * (item_BD - negative_BD)).sum(1))


def squares(ego_ND: Tensor, node_3B: Tensor) -> Tensor:
    """Squared length of some vectors, shape ``(3, B)``; each is computed once if that is less."""
    if len(ego_ND) <= len(node_3B):
        return ego_ND.square().sum(1).index_select(0, node_3B).view(3, -1)
    return ego_ND.index_select(0, node_3B).square().sum(1).view(3, -1)


def lengths(squares_3B: Tensor) -> Tensor:
    """The sum of the lengths of the three stacks of vectors of the batch, a scalar."""
    tiny = torch.finfo(squares_3B.dtype).tiny
    return batch_sum(squares_3B.sum(1)).clamp(min=tiny).sqrt().sum()
