"""The log of a sum of exponentials over a whole table, without a matrix of that size."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MOST_ENTRIES = 1 << 22
"""Entries of the matrix [B, N] up to which it is made in one piece and kept."""


def log_sum_exp(query_BD: Tensor, table_ND: Tensor, most_entries: int = MOST_ENTRIES) -> Tensor:
    """``log(sum_n exp(query_b . table_n))``, shape ``(B,)``; can be differentiated twice.

    A matrix of at most ``most_entries`` products is kept for the backward pass. A larger one is
    never in memory, nor in the backward passes: they all work on pieces of the table with at most
    a quarter of that (but at least one product for each query). Under autocast the products run
    in its type, everything else in that of the arguments.
    """
    return _LogSumExp.apply(query_BD, table_ND, most_entries)  # type: ignore


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query_BD: Tensor, table_ND: Tensor, most_entries: int) -> Tensor:
        ctx.products = _Products.now(query_BD, len(table_ND), most_entries)
        ctx.log_share_BN = None
        pieces = list(ctx.products.pieces(table_ND))
        if len(pieces) == 1:
            product_BN = ctx.products.of(query_BD, table_ND)
            ctx.log_share_BN = product_BN.log_softmax(1)
            total_B = product_BN[:, 0] - ctx.log_share_BN[:, 0]
        else:
            total_B = ctx.products.of(query_BD, pieces[0]).logsumexp(1)
            for piece_ND in pieces[1:]:
                part_B = ctx.products.of(query_BD, piece_ND).logsumexp(1)
                total_B = torch.logaddexp(total_B, part_B)
        ctx.save_for_backward(query_BD, table_ND, total_B)
        return total_B

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query_BD, table_ND, total_B = ctx.saved_tensors
        if ctx.log_share_BN is None or torch.is_grad_enabled():
            results = _Gradients.apply(query_BD, table_ND, total_B, grads[0], ctx.products)
            return (*results, None)  # type: ignore
        share_BN = ctx.log_share_BN.exp().mul_(grads[0][:, None])
        times = ctx.products.times
        return times(share_BN, table_ND), times(share_BN.T, query_BD), None


class _Gradients(torch.autograd.Function):
    """First derivatives of :class:`_LogSumExp` times ``grad_B``.

    With P the softmax of the products they are ``g P T`` and ``(g P)^T Q``. For directions V and
    W (the second time) let ``r = V T^T + Q W^T``, m its mean under P and ``C = g P (r - m)``; then
    the derivatives are m for g, ``C T + g P W`` for Q and ``C^T Q + (g P)^T V`` for T.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query_BD: Tensor,
        table_ND: Tensor,
        total_B: Tensor,
        grad_B: Tensor,
        products: "_Products",
    ) -> tuple[Tensor, Tensor]:
        ctx.products = products
        ctx.save_for_backward(query_BD, table_ND, total_B, grad_B)
        to_query_BD, to_table = torch.zeros_like(query_BD), []
        for piece_ND in products.pieces(table_ND):
            share_BN = products.of(query_BD, piece_ND).sub_(total_B[:, None]).exp_()
            share_BN.mul_(grad_B[:, None])
            to_query_BD += products.times(share_BN, piece_ND)
            to_table.append(products.times(share_BN.T, query_BD))
        return to_query_BD, torch.cat(to_table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query_BD, table_ND, total_B, grad_B = ctx.saved_tensors
        direction_BD, direction_ND = grads
        products: _Products = ctx.products
        pieces = list(zip(products.pieces(table_ND), products.pieces(direction_ND), strict=True))

        def share_and_slope(piece_ND: Tensor, toward_ND: Tensor) -> tuple[Tensor, Tensor]:
            share_BN = products.of(query_BD, piece_ND).sub_(total_B[:, None]).exp_()
            slope_BN = products.of(direction_BD, piece_ND) + products.of(query_BD, toward_ND)
            return share_BN, slope_BN

        mean_B = torch.zeros_like(total_B)
        for piece_ND, toward_ND in pieces:
            share_BN, slope_BN = share_and_slope(piece_ND, toward_ND)
            mean_B += share_BN.mul_(slope_BN).sum(1)
        to_query_BD, to_table = torch.zeros_like(query_BD), []
        for piece_ND, toward_ND in pieces:
            share_BN, slope_BN = share_and_slope(piece_ND, toward_ND)
            share_BN.mul_(grad_B[:, None])
            curve_BN = slope_BN.sub_(mean_B[:, None]).mul_(share_BN)
            to_query_BD += products.times(curve_BN, piece_ND) + products.times(share_BN, toward_ND)
            to_table.append(
                products.times(curve_BN.T, query_BD) + products.times(share_BN.T, direction_BD)
            )
        return to_query_BD, torch.cat(to_table), None, mean_B, None


class _Products:
    """How inner products are made: in which type, and for how many rows of the table at once."""

    def __init__(self, dtype: torch.dtype, size: int) -> None:
        self._dtype = dtype
        self._size = size

    @classmethod
    def now(cls, query_BD: Tensor, num_rows: int, most_entries: int) -> "_Products":
        """In the type that autocast demands where this is called."""
        kind = query_BD.device.type
        fast = torch.is_autocast_enabled(kind) and query_BD.dtype == torch.float32
        dtype = torch.get_autocast_dtype(kind) if fast else query_BD.dtype
        num_queries = max(1, len(query_BD))
        if num_queries * num_rows <= most_entries:
            return cls(dtype, num_rows)
        # a quarter is small enough for the cache of a core
        return cls(dtype, max(1, most_entries // (4 * num_queries)))

    def pieces(self, table_ND: Tensor) -> Iterator[Tensor]:
        """The rows of a table, some at a time."""
        return iter(table_ND.split(self._size))

    def of(self, left_BD: Tensor, right_ND: Tensor) -> Tensor:
        """All inner products of rows, shape ``(B, N)``."""
        return self.times(left_BD, right_ND.T)

    def times(self, left: Tensor, right: Tensor) -> Tensor:
        """The matrix product, in the type of ``left``."""
        with torch.autocast(left.device.type, enabled=False):
            return (left.to(self._dtype) @ right.to(self._dtype)).to(left.dtype)
