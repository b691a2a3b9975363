import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from erase_ray.models import _gru
from erase_ray.models._gru import PackedGru, plain_states
from erase_ray.models._packing import Packing

SIZES = [[1, 1, 1, 1], [3, 3, 3], [4, 3, 3, 1], [2]]


@pytest.fixture(params=[1, 4, 512])
def group(request, monkeypatch):
    """Most rows of a group of several steps."""
    monkeypatch.setattr(_gru, "_GROUP", request.param)


def gru(bias, seed=0):
    torch.manual_seed(seed)
    return PackedGru(3, 2, bias).double()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_states_and_gradients_are_those_of_torch(sizes, bias, group):
    module = gru(bias)
    inputs = torch.randn(sum(sizes), 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(sum(sizes), 2, dtype=torch.float64)
    leaves = [inputs, *module.parameters()]
    ours = module.run(inputs, sizes)
    theirs = nn.GRU.forward(module, PackedSequence(inputs, torch.tensor(sizes)))[0].data
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    for mine, other in zip(
        torch.autograd.grad(ours, leaves, upstream),
        torch.autograd.grad(theirs, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-13)


@pytest.mark.parametrize("sizes", SIZES)
def test_second_derivatives(sizes):
    module = gru(True)
    inputs = torch.randn(sum(sizes), 3, dtype=torch.float64, requires_grad=True)

    values = (inputs, *(w.detach().clone().requires_grad_() for w in module.parameters()))
    module.forward = lambda inputs: module.run(inputs, sizes)
    names = [name for name, _ in module.named_parameters()]

    def states(inputs, *weights):
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(module, named, (inputs,))

    assert torch.autograd.gradcheck(states, values)
    assert torch.autograd.gradgradcheck(states, values)


def test_hessian_vector_product_with_some_weights_frozen():
    module = gru(False)
    module.weight_ih_l0.requires_grad_(False)
    inputs = torch.randn(5, 3, dtype=torch.float64)
    weight = module.weight_hh_l0
    vector = torch.randn_like(weight)

    def product(states):
        (grad,) = torch.autograd.grad(states.square().sum(), weight, create_graph=True)
        return torch.autograd.grad((grad * vector).sum(), weight)[0]

    gates = nn.functional.linear(inputs, module.weight_ih_l0)
    plain = plain_states(gates, weight, torch.zeros(6, dtype=torch.float64), [2, 2, 1])
    torch.testing.assert_close(product(module.run(inputs, [2, 2, 1])), product(plain))


def test_a_gradient_is_partial_where_inputs_are_made_from_a_weight():
    module = gru(True)
    weight = module.weight_hh_l0
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    outer, inner, bias, inner_bias = (module.get_parameter(name) for name in names)

    def grads(run):
        """The gradient of the inputs flows on to the weight."""
        inputs = weight[:, :1] * torch.ones(3, dtype=torch.float64)
        total = run(inputs[:5]).square().sum()
        (first,) = torch.autograd.grad(total, weight, create_graph=True)
        return first, torch.autograd.grad(first.square().sum(), weight)[0]

    ours = grads(lambda inputs: module.run(inputs, [2, 2, 1]))
    plain = grads(
        lambda inputs: plain_states(
            nn.functional.linear(inputs, outer, bias), inner, inner_bias, [2, 2, 1]
        )
    )
    torch.testing.assert_close(ours, plain)


def test_under_autocast_the_recurrence_stays_float32():
    module = gru(True).float()
    inputs = torch.randn(5, 3)
    exact = module.run(inputs, [2, 2, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module.run(inputs, [2, 2, 1]), exact)


def test_packing_by_hand():
    packing = Packing.of(torch.tensor([1, 3, 3]))
    assert packing.sizes == [3, 2, 2]
    assert packing.sequence_N.tolist() == [1, 2, 0, 1, 2, 1, 2]
    assert packing.step_N.tolist() == [0, 0, 0, 1, 1, 2, 2]
    places = packing.place(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]))
    assert places.tolist() == [2, 5, 6]
