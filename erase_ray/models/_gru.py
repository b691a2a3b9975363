"""A one-layer GRU over packed sequences whose backward pass is written out.

Packed means time-major without padding: first step one of all sequences (longest first), then step
two of those that have one, and so on; ``sizes[t]`` is the number of sequences that reach step t.
Autograd's own pass over a GRU on the CPU spends most of its time on bookkeeping and adds up the
weight gradient step by step; here it is one matrix product at the end.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


class PackedGru(nn.GRU):
    """A GRU that reads and returns packed rows and starts from zeros.

    Parameters, their names and the arithmetic are those of :class:`torch.nn.GRU`. On CUDA this is
    cuDNN's kernel; on the CPU it is :class:`_Recurrence`.
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
        bias_G, inner_bias_G = biases or 2 * [inputs_NX.new_zeros(len(weight_GH))]
        gates_NG = nn.functional.linear(inputs_NX, weight_GX, bias_G)
        return _Recurrence.apply(gates_NG, weight_GH, inner_bias_G, sizes)  # type: ignore


class _Recurrence(torch.autograd.Function):
    """States from input gates; gate order is reset, update, new (G = 3H)."""

    @staticmethod
    def forward(
        ctx: Any, gates_NG: Tensor, weight_GH: Tensor, bias_G: Tensor, sizes: list[int]
    ) -> Tensor:
        hidden = weight_GH.shape[1]
        inner_NG = gates_NG + bias_G
        inner_NG[:, 2 * hidden :] = bias_G[2 * hidden :]
        new_NH = gates_NG[:, 2 * hidden :].clone()
        states_NH = torch.empty_like(new_NH)
        _fill_states(inner_NG, new_NH, states_NH, weight_GH, sizes)
        ctx.sizes = sizes
        ctx.save_for_backward(gates_NG, weight_GH, bias_G, inner_NG, new_NH, states_NH)
        return states_NH

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return (*_differentiable_gradients(ctx, grads[0]), None)
        weight_GH, inner_NG, new_NH, states_NH = (ctx.saved_tensors[i] for i in (1, 3, 4, 5))
        hidden = weight_GH.shape[1]
        reset_NH, update_NH, raw_NH = inner_NG.split(hidden, dim=1)
        before_NH = _shifted(states_NH, ctx.sizes)
        to_new_NH = (1 - update_NH).mul_(1 - new_NH * new_NH)
        to_raw_NH = to_new_NH * reset_NH
        # how the gradient of a state reaches the three hidden gates that made it
        slopes_NG = torch.cat(
            [
                (to_raw_NH * raw_NH).mul_(1 - reset_NH),
                (before_NH - new_NH).mul_(update_NH).mul_(1 - update_NH),
                to_raw_NH,
            ],
            dim=1,
        )
        grad_NH = grads[0].clone()
        _walk_back(grad_NH, slopes_NG, update_NH, weight_GH, ctx.sizes)
        weight = slopes_NG.T @ before_NH if ctx.needs_input_grad[1] else None
        bias = slopes_NG.sum(0) if ctx.needs_input_grad[2] else None
        slopes_NG[:, 2 * hidden :] = to_new_NH.mul_(grad_NH)
        return slopes_NG, weight, bias, None


def _fill_states(
    inner_NG: Tensor, new_NH: Tensor, states_NH: Tensor, weight_GH: Tensor, sizes: list[int]
) -> None:
    hidden = weight_GH.shape[1]
    weight_HG = weight_GH.T
    inner = inner_NG.split(sizes)
    reset_update = inner_NG[:, : 2 * hidden].split(sizes)
    reset, update, raw = (part.split(sizes) for part in inner_NG.split(hidden, dim=1))
    new, states = new_NH.split(sizes), states_NH.split(sizes)
    state = states_NH.new_zeros(sizes[0], hidden)
    for t, size in enumerate(sizes):
        if len(state) != size:
            state = state[:size]
        inner[t].addmm_(state, weight_HG)
        reset_update[t].sigmoid_()
        new[t].addcmul_(reset[t], raw[t]).tanh_()
        state = torch.lerp(new[t], state, update[t], out=states[t])


def _walk_back(
    grad_NH: Tensor, slopes_NG: Tensor, update_NH: Tensor, weight_GH: Tensor, sizes: list[int]
) -> None:
    """Turn slopes into gradients of the hidden gates, and ``grad_NH`` into those of all states."""
    hidden = weight_GH.shape[1]
    slopes = slopes_NG.split(sizes)
    by_gate = slopes_NG.view(-1, 3, hidden).split(sizes)
    grads, each = grad_NH.split(sizes), grad_NH.unsqueeze(1).split(sizes)
    update = update_NH.split(sizes)
    for t in range(len(sizes) - 1, 0, -1):
        by_gate[t].mul_(each[t])
        earlier = grads[t - 1]
        if sizes[t] != sizes[t - 1]:
            earlier = earlier[: sizes[t]]
        earlier.addcmul_(grads[t], update[t]).addmm_(slopes[t], weight_GH)
    by_gate[0].mul_(each[0])


def _shifted(states_NH: Tensor, sizes: list[int]) -> Tensor:
    """The state before each step."""
    start = states_NH.new_zeros(sizes[0], states_NH.shape[1])
    if sizes[0] == sizes[-1]:
        return torch.cat([start, states_NH[: -sizes[0]]])
    states = states_NH.split(sizes)
    return torch.cat([start, *(s[:size] for s, size in zip(states, sizes[1:], strict=False))])


def _differentiable_gradients(ctx: Any, grad_NH: Tensor) -> list[Tensor | None]:
    inputs = ctx.saved_tensors[:3]
    wanted = [i for i in range(3) if ctx.needs_input_grad[i]]
    states_NH = plain_states(inputs[0], inputs[1], inputs[2], ctx.sizes)
    grads = torch.autograd.grad(states_NH, [inputs[i] for i in wanted], grad_NH, create_graph=True)
    result: list[Tensor | None] = [None, None, None]
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
