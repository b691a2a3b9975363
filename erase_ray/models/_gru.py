"""A one-layer GRU over packed sequences whose backward pass is written out.

Packed means time-major without padding: first step one of all sequences (longest first), then step
two of those that have one, and so on; ``sizes[t]`` is the number of sequences that reach step t.
Autograd's own pass over a GRU on the CPU spends most of its time on bookkeeping and on walks
through memory; here steps are worked off in groups that fit the cache.

All gates of a row lie side by side (F = 4H): new, reset, update, and the part of the new gate that
comes from the state. The input makes the first three of them, the state the last three, so both
are one matrix product on a slice.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

_GROUP = 512
"""Most rows of a group of several steps."""


class PackedGru(nn.GRU):
    """A GRU that reads and returns packed rows and starts from zeros.

    Parameters, their names and the arithmetic are those of :class:`torch.nn.GRU`. On CUDA this is
    cuDNN's kernel; on the CPU it is :class:`_Recurrence`, under autocast too.
    """

    weight_ih_l0: nn.Parameter
    weight_hh_l0: nn.Parameter

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__(input_size, hidden_size, bias=bias)

    def run(self, inputs_NX: Tensor, sizes: list[int]) -> Tensor:
        """The state after each step, packed, shape ``(N, H)``.

        Args:
            inputs_NX: Packed inputs, shape ``(N, X)``.
            sizes: Sequences that reach each step, never growing; its sum is N.
        """
        if inputs_NX.is_cuda:
            packed = PackedSequence(inputs_NX, torch.tensor(sizes))
            return super().forward(packed)[0].data
        weight_GX, weight_GH, *biases = self.all_weights[0]
        values = (inputs_NX.to(weight_GX.dtype), weight_GX, weight_GH, *(biases or (None, None)))
        return _Recurrence.apply(*values, sizes)  # type: ignore


class _Recurrence(torch.autograd.Function):
    """States from inputs; gate order of the weights is reset, update, new (G = 3H)."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs_NX: Tensor,
        weight_GX: Tensor,
        weight_GH: Tensor,
        bias_G: Tensor | None,
        inner_bias_G: Tensor | None,
        sizes: list[int],
    ) -> Tensor:
        ctx.sizes = sizes
        values = (inputs_NX, weight_GX, weight_GH, bias_G, inner_bias_G)
        with torch.autocast(inputs_NX.device.type, enabled=False):
            gates_NF = _from_inputs(*values)
            states_NH = _fill_states(gates_NF, weight_GH, sizes)
        ctx.save_for_backward(*values, gates_NF, states_NH)
        return states_NH

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *values, gates_NF, states_NH = ctx.saved_tensors
        with torch.autocast(states_NH.device.type, enabled=False):
            if torch.is_grad_enabled():
                found = _differentiable_gradients(values, ctx.sizes, ctx.needs_input_grad, grads[0])
            else:
                found = _gradients(values, gates_NF, states_NH, ctx.sizes, grads[0])
        return (*found, None)


def _from_inputs(
    inputs_NX: Tensor,
    weight_GX: Tensor,
    weight_GH: Tensor,
    bias_G: Tensor | None,
    inner_bias_G: Tensor | None,
) -> Tensor:
    """What reaches the gates without the states, and all biases."""
    hidden = weight_GH.shape[1]
    gates_NF = inputs_NX.new_empty(len(inputs_NX), 4 * hidden)
    weight_XG = _turn(weight_GX, 1).T
    if bias_G is None or inner_bias_G is None:
        torch.mm(inputs_NX, weight_XG, out=gates_NF[:, : 3 * hidden])
        gates_NF[:, 3 * hidden :] = 0
        return gates_NF
    outer, inner = bias_G.split(hidden), inner_bias_G.split(hidden)
    gates_NF[:] = torch.cat([outer[2], outer[0] + inner[0], outer[1] + inner[1], inner[2]])
    gates_NF[:, : 3 * hidden].addmm_(inputs_NX, weight_XG)
    return gates_NF


def _fill_states(gates_NF: Tensor, weight_GH: Tensor, sizes: list[int]) -> Tensor:
    """The states; finishes the gates in place."""
    hidden = weight_GH.shape[1]
    weight_HG = weight_GH.T
    states_NH = gates_NF.new_empty(len(gates_NF), hidden)
    from_state = gates_NF[:, hidden:].split(sizes)
    reset_update = gates_NF[:, hidden : 3 * hidden].split(sizes)
    new, reset, update, raw = (part.split(sizes) for part in gates_NF.split(hidden, dim=1))
    states = states_NH.split(sizes)
    state = states_NH.new_zeros(sizes[0], hidden)
    for t, size in enumerate(sizes):
        if len(state) != size:
            state = state[:size]
        if t:
            from_state[t].addmm_(state, weight_HG)
        reset_update[t].sigmoid_()
        new[t].addcmul_(reset[t], raw[t]).tanh_()
        state = torch.lerp(new[t], state, update[t], out=states[t])
    return states_NH


def _groups(sizes: list[int]) -> Iterator[range]:
    """Runs of steps, from the end: each one step, or more with few rows in all."""
    last = len(sizes) - 1
    while last >= 0:
        first, rows = last, sizes[last]
        while first and rows + sizes[first - 1] <= _GROUP:
            first -= 1
            rows += sizes[first]
        yield range(first, last + 1)
        last = first - 1


def _gradients(
    values: list[Tensor], gates_NF: Tensor, states_NH: Tensor, sizes: list[int], grad_NH: Tensor
) -> tuple[Tensor | None, ...]:
    inputs_NX, weight_GX, weight_GH, bias_G, _ = values
    width = 3 * weight_GH.shape[1]
    weight_GX = _turn(weight_GX, 1)
    by_inputs_NX = torch.empty_like(inputs_NX)
    by_weight_GX, by_weight_GH = torch.zeros_like(weight_GX), torch.zeros_like(weight_GH)
    by_biases_F = weight_GH.new_zeros(gates_NF.shape[1])
    grad_NH = grad_NH.clone()
    grads = (grad_NH.split(sizes), grad_NH.unsqueeze(1).split(sizes))
    stop = len(gates_NF)
    for steps in _groups(sizes):
        start = stop - sum(sizes[steps.start : steps.stop])
        gates_MF = gates_NF[start:stop]
        before_MH = _before(states_NH, sizes, steps, start)
        slopes_MF = _slopes(gates_MF, before_MH)
        _walk_back(grads, slopes_MF, gates_MF, weight_GH, sizes, steps)
        torch.mm(slopes_MF[:, :width], weight_GX, out=by_inputs_NX[start:stop])
        by_weight_GX.addmm_(slopes_MF[:, :width].T, inputs_NX[start:stop])
        by_weight_GH.addmm_(slopes_MF[:, -width:].T, before_MH)
        if bias_G is not None:
            by_biases_F += slopes_MF.sum(0)
        stop = start
    by_weight_GX = _turn(by_weight_GX, -1)
    if bias_G is None:
        return by_inputs_NX, by_weight_GX, by_weight_GH, None, None
    by_bias_G = _turn(by_biases_F[:width], -1)
    return by_inputs_NX, by_weight_GX, by_weight_GH, by_bias_G, by_biases_F[-width:]


def _before(states_NH: Tensor, sizes: list[int], steps: range, start: int) -> Tensor:
    """The states before some steps, the first of which is row ``start``."""
    nothing = [] if steps.start else [states_NH.new_zeros(sizes[0], states_NH.shape[1])]
    reached = sizes[steps.start : steps.stop]
    sources = sizes[max(steps.start - 1, 0) : steps.stop - 1]
    first = start - sizes[steps.start - 1] if steps.start else 0
    if not sources:
        return nothing[0]
    states_MH = states_NH[first : first + sum(sources)]
    if sources[0] == reached[-1]:
        return torch.cat([*nothing, states_MH]) if nothing else states_MH
    pairs = zip(states_MH.split(sources), reached[-len(sources) :], strict=True)
    return torch.cat([*nothing, *(state[:size] for state, size in pairs)])


def _slopes(gates_MF: Tensor, before_MH: Tensor) -> Tensor:
    """How the gradient of a state reaches the gates that made it."""
    hidden = before_MH.shape[1]
    new_MH, reset_MH, update_MH, raw_MH = gates_MF.split(hidden, dim=1)
    slopes_MF = torch.empty_like(gates_MF)
    to_new_MH, to_reset_MH, to_update_MH, to_raw_MH = slopes_MF.split(hidden, dim=1)
    aten = torch.ops.aten
    aten.tanh_backward.grad_input(1 - update_MH, new_MH, grad_input=to_new_MH)
    aten.sigmoid_backward.grad_input(to_new_MH * raw_MH, reset_MH, grad_input=to_reset_MH)
    aten.sigmoid_backward.grad_input(before_MH - new_MH, update_MH, grad_input=to_update_MH)
    torch.mul(to_new_MH, reset_MH, out=to_raw_MH)
    return slopes_MF


def _walk_back(
    grads: tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
    slopes_MF: Tensor,
    gates_MF: Tensor,
    weight_GH: Tensor,
    sizes: list[int],
    steps: range,
) -> None:
    """Turn slopes into gradients of the gates, and ``grads`` into those of all states.

    ``grads`` are two views of the gradients of each step: ``(B, H)`` and ``(B, 1, H)``.
    """
    hidden = weight_GH.shape[1]
    reached = sizes[steps.start : steps.stop]
    by_gate = slopes_MF.view(-1, 4, hidden).split(reached)
    from_state = slopes_MF[:, hidden:].split(reached)
    update = gates_MF[:, 2 * hidden : 3 * hidden].split(reached)
    each, by_four = grads
    for k in range(len(steps) - 1, -1, -1):
        t = steps[k]
        by_gate[k].mul_(by_four[t])
        if not t:
            break
        earlier = each[t - 1]
        if sizes[t] != sizes[t - 1]:
            earlier = earlier[: sizes[t]]
        earlier.addcmul_(each[t], update[k]).addmm_(from_state[k], weight_GH)


def _turn(gates_G: Tensor, by: int) -> Tensor:
    """Move the third of three gates to the front (1), or back to the end (-1)."""
    return gates_G.roll(by * (len(gates_G) // 3), 0)


def _differentiable_gradients(
    values: list[Tensor], sizes: list[int], needs: tuple[bool, ...], grad_NH: Tensor
) -> list[Tensor | None]:
    # aliases: the derivatives wanted are partial, and one value may have been made from another
    aliases = [value if value is None else value.view_as(value) for value in values]
    inputs_NX, weight_GX, weight_GH, bias_G, inner_bias_G = aliases
    gates_NG = nn.functional.linear(inputs_NX, weight_GX, bias_G)
    if inner_bias_G is None:
        inner_bias_G = weight_GH.new_zeros(len(weight_GH))
    states_NH = plain_states(gates_NG, weight_GH, inner_bias_G, sizes)
    wanted = [i for i in range(5) if needs[i]]
    grads = torch.autograd.grad(states_NH, [aliases[i] for i in wanted], grad_NH, create_graph=True)
    result: list[Tensor | None] = [None] * 5
    for i, grad in zip(wanted, grads, strict=True):
        result[i] = grad
    return result


def plain_states(gates_NG: Tensor, weight_GH: Tensor, bias_G: Tensor, sizes: list[int]) -> Tensor:
    """The same states from operations that autograd can differentiate any number of times."""
    state = gates_NG.new_zeros(sizes[0], weight_GH.shape[1])
    states = []
    for gates in gates_NG.split(sizes):
        state = state[: len(gates)]
        reset, update, new = gates.chunk(3, dim=1)
        reset_h, update_h, new_h = nn.functional.linear(state, weight_GH, bias_G).chunk(3, dim=1)
        update = torch.sigmoid(update + update_h)
        new = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
        state = new + update * (state - new)
        states.append(state)
    return torch.cat(states)
