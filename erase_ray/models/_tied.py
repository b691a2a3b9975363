"""An item table that is the input of a model and its output layer as well."""

from typing import Any

import torch
from torch import Tensor

from erase_ray.models._sharded import shard_of


def tied(weight_ID: Tensor, item_N: Tensor) -> tuple[Tensor, Tensor]:
    """The rows ``item_N`` of a table, shape ``(N, D)``, and the table itself.

    Whoever reads the returned table instead of ``weight_ID``, in one place, gets the gradients of
    both uses in one buffer: autograd would fill a second table for the rows and add the two.
    """
    shard = shard_of(weight_ID)
    if shard is not None:
        return shard.rows(item_N), weight_ID
    return _Tied.apply(weight_ID, item_N)  # type: ignore


class _Tied(torch.autograd.Function):
    """Indexing and identity."""

    @staticmethod
    def forward(ctx: Any, weight_ID: Tensor, item_N: Tensor) -> tuple[Tensor, Tensor]:
        ctx.size = weight_ID.shape
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(item_N)
        return weight_ID.index_select(0, item_N), weight_ID.view_as(weight_ID)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        (item_N,) = ctx.saved_tensors
        by_rows_ND, by_table_ID = grads
        if by_rows_ND is None:
            return by_table_ID, None
        if by_table_ID is None:
            return by_rows_ND.new_zeros(ctx.size).index_add(0, item_N, by_rows_ND), None
        if torch.is_grad_enabled():
            return by_table_ID.index_add(0, item_N, by_rows_ND), None
        return by_table_ID.index_add_(0, item_N, by_rows_ND), None
