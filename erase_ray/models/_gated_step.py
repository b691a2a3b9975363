"""One gated exchange of messages between the nodes of session graphs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from erase_ray.models._links import Links
from erase_ray.models._session_graphs import SessionGraphs


class GatedStep(nn.Module):
    """Neighbours send messages, and a gate lets their news into the state of a node.

    With incoming and outgoing messages ``m = [A_in (H W_in + b_in) + c_in, A_out (...) + c_out]``,
    ``A`` the edges divided by the degree, the gates are those of a GRU with input m and state H,
    except that the update gate is the share of the new value, not of the old one.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.incoming = nn.Linear(width, width)
        self.outgoing = nn.Linear(width, width)
        self.bias_in = nn.Parameter(torch.empty(width))
        self.bias_out = nn.Parameter(torch.empty(width))
        self.input_gates = nn.Linear(2 * width, 3 * width)
        self.state_gates = nn.Linear(width, 3 * width)

    def forward(
        self, vectors_XD: Tensor, graphs: SessionGraphs, place_M: Tensor | None = None
    ) -> Tensor:
        """The states after the step, shape ``(M, D)``.

        Node m starts from row ``place_M[m]`` of the vectors, or from row m.
        """
        if place_M is None:
            place_M = torch.arange(len(vectors_XD), device=vectors_XD.device)
        start_G = self.input_gates(torch.cat([self.bias_in, self.bias_out]))
        messages_X3G = self._messages(vectors_XD, start_G)
        inner_XD = messages_X3G[:, 2].chunk(3, dim=1)[2] - start_G.chunk(3)[2]
        dtype = graphs.in_E.dtype
        links = _links(graphs, place_M, len(vectors_XD))
        gates_MG = links.sums(messages_X3G.flatten(0, 1).to(dtype))
        return gated(
            vectors_XD.index_select(0, place_M),
            inner_XD.to(dtype).index_select(0, place_M),
            gates_MG,
        )

    def _messages(self, vectors_XD: Tensor, start_G: Tensor) -> Tensor:
        """What the gates of a node hear from nodes before it, behind it, and from itself.

        Shape ``(X, 3, G)``. Two layers one behind the other are one product of a row.
        """
        weights, biases = [], []
        parts = self.input_gates.weight.chunk(2, dim=1)
        for gates_GD, layer in zip(parts, (self.incoming, self.outgoing), strict=True):
            weights.append(gates_GD @ layer.weight)
            biases.append(gates_GD @ layer.bias)
        weight = torch.cat([*weights, self.state_gates.weight])
        bias = torch.cat([*biases, self.state_gates.bias + start_G])
        return functional.linear(vectors_XD, weight, bias).unflatten(1, (3, -1))


def _links(graphs: SessionGraphs, place_M: Tensor, num_vectors: int) -> Links:
    """From the three parts of the messages to the nodes that hear them."""
    nodes_M = torch.arange(len(place_M), device=place_M.device)
    row_M, once_M = 3 * place_M, torch.ones_like(graphs.count_M)
    return Links(
        source_K=torch.cat([row_M[graphs.source_E], row_M[graphs.target_E] + 1, row_M + 2]),
        target_K=torch.cat([graphs.target_E, graphs.source_E, nodes_M]),
        weight_K=torch.cat([graphs.in_E, graphs.out_E, once_M]),
        num_sources=3 * num_vectors,
        num_targets=len(place_M),
    )


def gated(old_MD: Tensor, inner_MD: Tensor, gates_MG: Tensor) -> Tensor:
    """New states, shape ``(M, D)``, in the type of the gates.

    Args:
        old_MD: Old states.
        inner_MD: What the new value hears of the old one; the reset gate is a share of it.
        gates_MG: What the gates (reset, update, new; G = 3D) hear, that included in full.
    """
    dtype = gates_MG.dtype
    return _Gated.apply(old_MD.to(dtype), inner_MD.to(dtype), gates_MG)  # type: ignore


class _Gated(torch.autograd.Function):
    """Autograd's own way through the parts of one matrix fills and adds up matrices of zeros."""

    @staticmethod
    def forward(ctx: Any, old_MD: Tensor, inner_MD: Tensor, gates_MG: Tensor) -> Tensor:
        width = old_MD.shape[1]
        both_MC = gates_MG[:, : 2 * width].sigmoid()
        reset_MD, update_MD = both_MC.chunk(2, dim=1)
        new_MD = (gates_MG[:, 2 * width :] - inner_MD).addcmul_(reset_MD, inner_MD)
        # tanh(x) = 2 sigmoid(2x) - 1, in a fifth of the time of torch's own on the CPU
        new_MD.mul_(2).sigmoid_().mul_(2).sub_(1)
        ctx.save_for_backward(old_MD, inner_MD, gates_MG, both_MC, new_MD)
        return torch.lerp(old_MD, new_MD, update_MD)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        old_MD, inner_MD, gates_MG, both_MC, new_MD = ctx.saved_tensors
        grad_MD = grads[0]
        if torch.is_grad_enabled():
            return _differentiable_gradients([old_MD, inner_MD, gates_MG], grad_MD)
        reset_MD, update_MD = both_MC.chunk(2, dim=1)
        by_gates_MG = torch.empty_like(gates_MG)
        by_reset_MD, by_update_MD, by_new_MD = by_gates_MG.chunk(3, dim=1)
        from_new_MD = grad_MD * update_MD
        aten = torch.ops.aten
        aten.tanh_backward(from_new_MD, new_MD, grad_input=by_new_MD)
        part_MD = (new_MD - old_MD).mul_(grad_MD)
        aten.sigmoid_backward(part_MD, update_MD, grad_input=by_update_MD)
        torch.mul(by_new_MD, inner_MD, out=part_MD)
        aten.sigmoid_backward(part_MD, reset_MD, grad_input=by_reset_MD)
        by_inner_MD = torch.mul(by_new_MD, reset_MD, out=part_MD).sub_(by_new_MD)
        return torch.sub(grad_MD, from_new_MD, out=from_new_MD), by_inner_MD, by_gates_MG


def _differentiable_gradients(inputs: list[Tensor], grad_MD: Tensor) -> tuple[Tensor, ...]:
    # aliases: the derivatives wanted are partial, and one value may have been made from another
    aliases = [value.view_as(value) for value in inputs]
    wanted = [alias if alias.requires_grad else alias.requires_grad_() for alias in aliases]
    return torch.autograd.grad(plain_gated(*aliases), wanted, grad_MD, create_graph=True)


def plain_gated(old_MD: Tensor, inner_MD: Tensor, gates_MG: Tensor) -> Tensor:
    """As :func:`gated`, from operations that can be differentiated any number of times."""
    reset_MD, update_MD, new_MD = gates_MG.chunk(3, dim=1)
    new_MD = (new_MD + (reset_MD.sigmoid() - 1) * inner_MD).tanh()
    return torch.lerp(old_MD, new_MD, update_MD.sigmoid())
