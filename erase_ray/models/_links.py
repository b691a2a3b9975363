"""Weighted sums of rows along links, in both directions."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Links:
    """A sparse matrix: link k adds ``weight_K[k]`` times row ``source_K[k]`` to a target.

    Each target is summed up by itself in the order of its links, so the result is the same on
    every run, on any device.

    Args:
        source_K: int64.
        target_K: int64.
        weight_K: Numbers that have no gradient.
        num_sources: Number of rows on the one side.
        num_targets: Number of rows on the other.
    """

    source_K: Tensor
    target_K: Tensor
    weight_K: Tensor
    num_sources: int
    num_targets: int

    def sums(self, rows_XD: Tensor) -> Tensor:
        """The sum at each target, 0 where there is no link; shape ``(targets, D)``.

        May be differentiated any number of times. The rows have the type of the weights.
        """
        return _Sums.apply(rows_XD, self)  # type: ignore

    def reversed(self) -> "Links":
        """From targets to sources: the transposed matrix."""
        return Links(
            self.target_K, self.source_K, self.weight_K, self.num_targets, self.num_sources
        )


class _Sums(torch.autograd.Function):
    """Linear in the rows, so its gradient is the same along the reversed links."""

    @staticmethod
    def forward(ctx: Any, rows_XD: Tensor, links: Links) -> Tensor:
        ctx.links = links
        order_K = links.target_K.argsort(stable=True)
        size_M = order_K.new_zeros(links.num_targets)
        size_M.index_add_(0, links.target_K, torch.ones_like(order_K))
        return functional.embedding_bag(
            links.source_K[order_K],
            rows_XD.contiguous(),
            size_M.cumsum(0) - size_M,
            mode="sum",
            per_sample_weights=links.weight_K[order_K],
        )

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.links.reversed().sums(grads[0]), None
