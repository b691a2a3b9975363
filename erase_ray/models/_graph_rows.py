"""Propagation whose last step is made for some rows alone.

A batch reads a few rows of the propagated table. The last product with the matrix, and the first
one of the backward pass, can then leave out all edges that touch none of them.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from erase_ray.models._graph import Graph, sums_of_rows
from erase_ray.tasks._arrays import ragged

SHARE = 8
"""Rows pay for themselves when they hold at most one in this many entries of the matrix: to pick
an entry, sort it and sum it up twice costs up to five times as much as to sum it up in place."""


def propagate_rows(graph: Graph, ego_ND: Tensor, num_layers: int, node_T: Tensor) -> Tensor:
    """The rows ``node_T`` of ``graph.propagate(ego_ND, num_layers)``, bit by bit.

    On the CPU the last product is made for these rows alone where that pays; elsewhere to know
    whether it pays would mean to wait for the device.
    """
    if node_T.device.type == "cpu" and SHARE * len(node_T) <= len(ego_ND):
        node_R, place_T = torch.unique(node_T, return_inverse=True)
        rows = Rows(graph, node_R)
        if SHARE * rows.num_entries <= graph.num_entries:
            rows_RD = _RowsOfPropagation.apply(ego_ND, graph.weight, rows, num_layers)
            return rows_RD.index_select(0, place_T)  # type: ignore
    return graph.propagate(ego_ND, num_layers).index_select(0, node_T)


class Rows:
    """Some rows of the matrix of a graph, as its weights are now.

    Args:
        graph: The whole.
        node_R: The rows, each once.
    """

    def __init__(self, graph: Graph, node_R: Tensor) -> None:
        self.graph, self.node_R = graph, node_R
        self._first_R, end_R = graph.start[node_R].long(), graph.start[node_R + 1].long()
        self._size_R = end_R - self._first_R
        self.num_entries = int(self._size_R.sum())

    def product(self, table_ND: Tensor) -> Tensor:
        """The weights of the rows times a table of all nodes, shape ``(R, D)``."""
        start = functional.pad(self._size_R.cumsum(0), (1, 0))
        return sums_of_rows(start, self._column_M.long(), self._weight_M, table_ND)

    def spread(self, rows_RD: Tensor) -> Tensor:
        """The transposed weights times a table of the rows, shape ``(N, D)``."""
        sorted_M, order_M = torch.sort(self._column_M, stable=True)
        size_N = torch.bincount(sorted_M, minlength=len(self.graph.degree))
        start = functional.pad(size_N.cumsum(0), (1, 0))
        return sums_of_rows(start, self._entries[1][order_M], self._weight_M[order_M], rows_RD)

    @cached_property
    def _entries(self) -> tuple[Tensor, Tensor]:
        """Slot in the matrix of each entry, and which of the rows it lies in."""
        return ragged(self._first_R, self._size_R, self.num_entries)

    @cached_property
    def _column_M(self) -> Tensor:
        return self.graph.column[self._entries[0]]

    @cached_property
    def _weight_M(self) -> Tensor:
        return self.graph.weight[self._entries[0]]


class _RowsOfPropagation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ego_ND: Tensor, weight: Tensor, rows: Rows, num_layers: int) -> Tensor:
        ctx.rows, ctx.num_layers = rows, num_layers
        ctx.save_for_backward(weight)
        scale_N1 = rows.graph.scale(ego_ND.dtype)
        scaled_ND = rows.graph.scaled_sum(ego_ND, scale_N1, num_layers - 1)
        last_RD = torch.addcmul(
            ego_ND.index_select(0, rows.node_R),
            scale_N1.index_select(0, rows.node_R),
            rows.product(scaled_ND),
        )
        return last_RD.div_(num_layers + 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        grad_ND = _Transposed.apply(grads[0], weight, ctx.rows, ctx.num_layers)
        return grad_ND, None, None, None  # type: ignore


class _Transposed(torch.autograd.Function):
    """The transpose of :class:`_RowsOfPropagation`, which is linear."""

    @staticmethod
    def forward(ctx: Any, grad_RD: Tensor, weight: Tensor, rows: Rows, num_layers: int) -> Tensor:
        ctx.rows, ctx.num_layers = rows, num_layers
        ctx.save_for_backward(weight)
        scale_N1 = rows.graph.scale(grad_RD.dtype)
        share_RD = grad_RD / (num_layers + 1)
        last_ND = rows.spread(scale_N1.index_select(0, rows.node_R) * share_RD).mul_(scale_N1)
        total_ND = rows.graph.sum_of_powers(last_ND, num_layers - 1)
        return total_ND.index_add_(0, rows.node_R, share_RD)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        rows_RD = _RowsOfPropagation.apply(grads[0], weight, ctx.rows, ctx.num_layers)
        return rows_RD, None, None, None  # type: ignore
