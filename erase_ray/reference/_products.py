"""Hessian-vector products of mini-batch losses, as the published methods take them."""

from typing import Any

import torch
from torch import Tensor, nn

from erase_ray.methods._curvature import Curvature, Weighted
from erase_ray.reference._work import SUMMED, Work, batch_loss

GRAPH_BYTES = 64 * 2**20
"""Most memory for the kept graph of one mini-batch."""


class BatchHessian:
    """H_b of one mini-batch as a function of a flat vector.

    The graph of the first derivative is kept where the loss is one fixed function. Where dropout
    draws or batch norm moves its statistics, each product goes forward anew, as in the reference.

    Args:
        work: The request.
        batch: The mini-batch.
        factor: Factor of its loss.
    """

    def __init__(self, work: Work, batch: Any, factor: float = 1.0) -> None:
        self._work = work
        weight = factor if work.model.name in SUMMED else factor / len(batch)
        budget = GRAPH_BYTES if is_fixed(work.model) else 0
        self._curvature = Curvature(work.model, work.leaves, [Weighted(batch, weight)], budget)

    def __call__(self, vector_P: Tensor) -> Tensor:
        """The product, shape ``(P,)``."""
        self._work.check_time()
        self._work.num_hvps += 1
        return self._curvature(vector_P)


class MeanHessian:
    """The mean of H_b over mini-batches, whatever their sizes; 0 for those not finite."""

    def __init__(self, work: Work, batches: list[Any]) -> None:
        self._parts = [BatchHessian(work, batch) for batch in batches]

    def __call__(self, vector_P: Tensor) -> Tensor:
        """The product, shape ``(P,)``."""
        total_P = torch.zeros_like(vector_P)
        for part in self._parts:
            product_P = part(vector_P)
            if bool(torch.isfinite(product_P).all()):
                total_P += product_P
        return total_P / max(len(self._parts), 1)


class JointHessian:
    """The Hessian of the loss of all mini-batches together, each weighed by its size."""

    def __init__(self, work: Work, batches: list[Any]) -> None:
        total = sum(len(batch) for batch in batches)
        self._parts = [BatchHessian(work, batch, len(batch) / total) for batch in batches]

    def __call__(self, vector_P: Tensor) -> Tensor:
        """The product, shape ``(P,)``."""
        total_P = torch.zeros_like(vector_P)
        for part in self._parts:
            total_P += part(vector_P)
        return total_P


def is_fixed(model: nn.Module) -> bool:
    """Whether in train mode the loss of a mini-batch is the same at every call."""
    return not any(_varies(module) for module in model.modules())


def _varies(module: nn.Module) -> bool:
    shares = [getattr(module, name, 0) for name in ("p", "dropout")]
    drops = any(isinstance(share, float) and share > 0 for share in shares)
    return drops or bool(getattr(module, "track_running_stats", False))


def lacks_derivative(work: Work, batches: list[Any]) -> str:
    """The first parameter without an entry in the first or second derivative; empty if none."""
    missing = {name for name, weight in work.model.named_parameters() if weight.requires_grad}
    for batch in batches:
        missing -= _twice_differentiable(work, batch)
        if not missing:
            return ""
    return min(missing, default="")


def _twice_differentiable(work: Work, batch: Any) -> set[str]:
    named = {n: w for n, w in work.model.named_parameters() if w.requires_grad}
    leaves = list(named.values())
    loss = batch_loss(work.model, batch)
    first = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    curved = [one.sum() for one in first if one is not None and one.requires_grad]
    if not curved:
        return set()
    second = torch.autograd.grad(torch.stack(curved).sum(), leaves, allow_unused=True)
    both = zip(named, first, second, strict=True)
    return {name for name, *pair in both if all(one is not None for one in pair)}
