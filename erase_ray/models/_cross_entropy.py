"""Cross entropy over a whole catalogue from the vectors before the last product.

The logits of a batch are made tile by tile, each small enough to stay in the cache, with a running
maximum and a running sum of exponentials; the gradient walks over the same tiles. Tiles are
items by examples, the layout in which all three products run fastest.

Memory on top of inputs, weight and their gradients, in numbers: ``B * I`` exponentials, kept for
the backward pass as long as these are no more than the second of :data:`_SIZES`. Above that they
are made again, and there is one tile at a time, whatever the size of the catalogue (three where
the gradient is differentiated, and the cotangent of the weight).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_SIZES = {"cpu": (2**20, 2**25), "cuda": (2**24, 2**26)}
"""By device: entries of a tile, and of the largest matrix that is kept.

On the CPU tiles from 2**18 to 2**21 differ by less than a tenth; smaller and larger ones are
slower. Keeping is about a fifth faster than making again. The sizes for CUDA are not measured.
"""


def linear_cross_entropy(inputs_BD: Tensor, weight_ID: Tensor, target_B: Tensor) -> Tensor:
    """Minus the log-softmax of the target under the logits ``inputs @ weight.T``, shape ``(B,)``.

    Can be differentiated twice without the full logits; a third time takes them. Under
    autocast the products run in its type, all sums in that of the weight.

    Args:
        inputs_BD: A vector an example.
        weight_ID: A vector an item.
        target_B: Item ids, int64.
    """
    plan = _Plan.of(inputs_BD, weight_ID)
    return _CrossEntropy.apply(inputs_BD, weight_ID, target_B, plan)  # type: ignore


@dataclass(frozen=True)
class _Plan:
    """How one loss is computed.

    Args:
        dtype: Type of the factors of all large products.
        items: Items of a tile.
        keeps: Whether exponentials are kept for the backward pass.
    """

    dtype: torch.dtype
    items: int
    keeps: bool

    @classmethod
    def of(cls, inputs_BD: Tensor, weight_ID: Tensor) -> "_Plan":
        kind, batch = inputs_BD.device.type, max(len(inputs_BD), 1)
        tile, keep = _SIZES.get(kind, _SIZES["cuda"])
        casts = torch.is_autocast_enabled(kind)
        return cls(
            dtype=torch.get_autocast_dtype(kind) if casts else weight_ID.dtype,
            items=max(tile // batch, 1),
            keeps=torch.is_grad_enabled() and batch * len(weight_ID) <= keep,
        )

    def product(self, left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
        """The product with factors of the plan's type, in the type of ``left``."""
        if left.dtype == right.dtype == self.dtype:
            return torch.mm(left, right, out=out)
        result = torch.mm(left.to(self.dtype), right.to(self.dtype))
        return result.to(left.dtype) if out is None else out.copy_(result)


class _CrossEntropy(torch.autograd.Function):
    """The loss; its backward pass is :class:`_Gradient`."""

    @staticmethod
    def forward(
        ctx: Any, inputs_BD: Tensor, weight_ID: Tensor, target_B: Tensor, plan: _Plan
    ) -> Tensor:
        with torch.autocast(inputs_BD.device.type, enabled=False):
            log_sum_B, kept = _log_sums(inputs_BD, weight_ID, plan)
            # rounded as the logits in the sum are
            pair = (inputs_BD.to(plan.dtype), weight_ID[target_B].to(plan.dtype))
            hit_B = (pair[0].to(log_sum_B.dtype) * pair[1]).sum(1).to(plan.dtype)
        ctx.plan = plan
        ctx.save_for_backward(inputs_BD, weight_ID, target_B, log_sum_B, *kept)
        return log_sum_B - hit_B

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs_BD, weight_ID, target_B, log_sum_B, *kept = ctx.saved_tensors
        wanted = _Wanted(target_B, log_sum_B, kept, ctx.needs_input_grad[:2], ctx.plan)
        return (*_Gradient.apply(grads[0], inputs_BD, weight_ID, wanted), None, None)


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What the gradient needs beside the variables it can be differentiated by.

    ``kept`` holds the exponentials of each tile and the maxima they are relative to, in turn, or
    nothing.
    """

    target_B: Tensor
    log_sum_B: Tensor
    kept: list[Tensor]
    needs: tuple[bool, bool]
    plan: _Plan


class _Gradient(torch.autograd.Function):
    """Gradients by inputs and weight from those of the losses.

    With p the softmax of an example, d one at its target and g its upstream gradient, they are
    ``g (p - d) @ weight`` and the sum over the batch of ``g (p - d)`` times its input.
    """

    @staticmethod
    def forward(
        ctx: Any, grad_B: Tensor, inputs_BD: Tensor, weight_ID: Tensor, wanted: _Wanted
    ) -> tuple[Tensor | None, Tensor | None]:
        ctx.wanted = wanted
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(grad_B, inputs_BD, weight_ID)
        with torch.autocast(inputs_BD.device.type, enabled=False):
            return _gradients(grad_B, inputs_BD, weight_ID, wanted)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        values, wanted = ctx.saved_tensors, ctx.wanted
        if torch.is_grad_enabled():
            return (*_plain_second(values, wanted, cotangents, ctx.needs_input_grad), None)
        with torch.autocast(values[1].device.type, enabled=False):
            return (*_second(values, wanted, cotangents), None)


def _log_sums(inputs_BD: Tensor, weight_ID: Tensor, plan: _Plan) -> tuple[Tensor, list[Tensor]]:
    """Log-sum-exp of the logits, and what is kept (see :class:`_Wanted`)."""
    inputs_DB = inputs_BD.to(weight_ID.dtype).T
    high_B = weight_ID.new_full((len(inputs_BD),), -torch.inf)
    sum_B = torch.zeros_like(high_B)
    kept, buffer = [], None if plan.keeps else _buffer(inputs_BD, weight_ID, plan)
    for weight_TD in weight_ID.split(plan.items):
        out = None if buffer is None else buffer[: len(weight_TD)]
        logits_TB = plan.product(weight_TD, inputs_DB, out)
        higher_B = torch.maximum(high_B, logits_TB.amax(0))
        exp_TB = logits_TB.sub_(higher_B).exp_()
        sum_B = torch.addcmul(exp_TB.sum(0), sum_B, (high_B - higher_B).exp_())
        high_B = higher_B
        if plan.keeps:
            kept += [exp_TB.to(plan.dtype), high_B]
    return high_B + sum_B.log(), kept


def _softmax(inputs_BD: Tensor, weight_ID: Tensor, wanted: _Wanted) -> Iterator[Tensor]:
    """The softmax, tile by tile; each tile is overwritten by the next."""
    buffer = _buffer(inputs_BD, weight_ID, wanted.plan)
    inputs_DB = inputs_BD.to(weight_ID.dtype).T
    for weight_TD in weight_ID.split(wanted.plan.items):
        logits_TB = wanted.plan.product(weight_TD, inputs_DB, buffer[: len(weight_TD)])
        yield logits_TB.sub_(wanted.log_sum_B).exp_()


def _buffer(inputs_BD: Tensor, weight_ID: Tensor, plan: _Plan) -> Tensor:
    return weight_ID.new_empty(min(plan.items, len(weight_ID)), len(inputs_BD))


def _exponentials(
    inputs_BD: Tensor, weight_ID: Tensor, wanted: _Wanted
) -> Iterator[tuple[Tensor, Tensor]]:
    """The exponentials of each tile with the shifts they are relative to."""
    if wanted.kept:
        yield from zip(wanted.kept[::2], wanted.kept[1::2], strict=True)
        return
    for exp_TB in _softmax(inputs_BD, weight_ID, wanted):
        yield exp_TB, wanted.log_sum_B


def _gradients(
    grad_B: Tensor, inputs_BD: Tensor, weight_ID: Tensor, wanted: _Wanted
) -> tuple[Tensor | None, Tensor | None]:
    product, (needs_inputs, needs_weight) = wanted.plan.product, wanted.needs
    exact_BD = inputs_BD.to(weight_ID.dtype)
    by_inputs_BD = torch.zeros_like(exact_BD)
    by_weight_ID = torch.empty_like(weight_ID) if needs_weight else None
    start = 0
    for exp_TB, shift_B in _exponentials(inputs_BD, weight_ID, wanted):
        tile = slice(start, start + len(exp_TB))
        scale_B1 = (grad_B * (shift_B - wanted.log_sum_B).exp_())[:, None]
        if by_weight_ID is not None:
            product(exp_TB, exact_BD * scale_B1, by_weight_ID[tile])
        if needs_inputs:
            by_inputs_BD.addcmul_(product(exp_TB.T, weight_ID[tile]), scale_B1)
        start = tile.stop
    grad_B1 = grad_B[:, None]
    if by_weight_ID is not None:
        by_weight_ID.index_add_(0, wanted.target_B, exact_BD * -grad_B1)
    if not needs_inputs:
        return None, by_weight_ID
    by_inputs_BD.addcmul_(weight_ID[wanted.target_B], grad_B1, value=-1)
    return by_inputs_BD.to(inputs_BD.dtype), by_weight_ID


def _second(
    values: tuple[Tensor, ...], wanted: _Wanted, cotangents: tuple[Tensor | None, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients, by those of the losses, inputs and weight, of a product with the gradients.

    The cotangents u, V are directions of inputs and weight. Along them the logits move by
    ``a = weight @ u + V @ input``, so the product is the sum over the batch of ``g (E_p[a] - a)``,
    the last at the target; what is returned are its derivatives.
    """
    grad_B, inputs_BD, weight_ID = values
    product, target_B = wanted.plan.product, wanted.target_B
    x_BD = inputs_BD.to(weight_ID.dtype)
    u_BD = torch.zeros_like(x_BD) if cotangents[0] is None else cotangents[0].to(x_BD.dtype)
    v_ID = torch.zeros_like(weight_ID) if cotangents[1] is None else cotangents[1]
    tiles = list(zip(*(table.split(wanted.plan.items) for table in (weight_ID, v_ID)), strict=True))

    def moves() -> Iterator[tuple[Tensor, Tensor]]:
        softmax = _softmax(inputs_BD, weight_ID, wanted)
        for (weight_TD, v_TD), p_TB in zip(tiles, softmax, strict=True):
            yield p_TB, product(weight_TD, u_BD.T).add_(product(v_TD, x_BD.T))

    mean_B = torch.zeros_like(grad_B)
    for p_TB, a_TB in moves():
        mean_B += a_TB.mul_(p_TB).sum(0)
    g_B1 = grad_B[:, None]
    gx_BD, gu_BD = x_BD * g_B1, u_BD * g_B1
    by_inputs_BD, by_weight_ID = torch.zeros_like(x_BD), torch.empty_like(weight_ID)
    outs = by_weight_ID.split(wanted.plan.items)
    for (weight_TD, v_TD), out_TD, (p_TB, a_TB) in zip(tiles, outs, moves(), strict=True):
        q_TB = a_TB.sub_(mean_B).mul_(p_TB)
        by_inputs_BD += product(q_TB.T, weight_TD).add_(product(p_TB.T, v_TD))
        product(q_TB, gx_BD, out_TD).add_(product(p_TB, gu_BD))
    v_BD = v_ID[target_B]
    by_weight_ID.index_add_(0, target_B, -gu_BD)
    by_grad_B = mean_B - (u_BD * weight_ID[target_B] + v_BD * x_BD).sum(1)
    by_inputs_BD = (by_inputs_BD - v_BD) * g_B1
    return by_grad_B, by_inputs_BD.to(inputs_BD.dtype), by_weight_ID


def _plain_second(
    values: tuple[Tensor, ...],
    wanted: _Wanted,
    cotangents: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
) -> list[Tensor | None]:
    """The same from operations that autograd can differentiate any number of times."""
    # aliases: the derivatives wanted are partial, and one value may have been made from another
    aliases = [value.view_as(value) for value in values]
    grad_B, inputs_BD, weight_ID = aliases
    x_BD = inputs_BD.to(weight_ID.dtype)
    log_BI = torch.log_softmax(x_BD @ weight_ID.T, 1)
    residual_BI = log_BI.exp() - torch.nn.functional.one_hot(wanted.target_B, len(weight_ID))
    scaled_BI = residual_BI * grad_B[:, None]
    gradients = (scaled_BI @ weight_ID, scaled_BI.T @ x_BD)
    given = [(g, c) for g, c in zip(gradients, cotangents, strict=True) if c is not None]
    outputs, directions = zip(*given, strict=True)
    chosen = [i for i in range(3) if needs[i]]
    found = torch.autograd.grad(
        outputs, [aliases[i] for i in chosen], directions, create_graph=True
    )
    result: list[Tensor | None] = [None, None, None]
    for i, grad in zip(chosen, found, strict=True):
        result[i] = grad
    return result
