import math

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from erase_ray.models import _cross_entropy
from erase_ray.models._cross_entropy import linear_cross_entropy

ROUTES = {"one tile, kept": (1000, 1000), "tiles, kept": (6, 1000), "tiles, made again": (6, 0)}


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch):
    monkeypatch.setitem(_cross_entropy._SIZES, "cpu", ROUTES[request.param])


def plain(inputs, weight, target):
    return functional.cross_entropy(inputs @ weight.T, target, reduction="none")


def example(batch=3, items=7, width=2):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, width, dtype=torch.float64, generator=generator)
    weight = torch.randn(items, width, dtype=torch.float64, generator=generator)
    return inputs.requires_grad_(), weight.requires_grad_(), torch.tensor([1, items - 1, 1])


def test_numbers_by_hand(route):
    """Softmax 1/6, 2/6, 3/6."""
    inputs = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    logs = torch.tensor([[0.0], [math.log(2)], [math.log(3)]], dtype=torch.float64)
    loss = linear_cross_entropy(inputs, logs.requires_grad_(), torch.tensor([1]))
    assert loss.item() == pytest.approx(math.log(3), rel=1e-14)
    by_inputs, by_weight = torch.autograd.grad(loss.sum(), (inputs, logs))
    expected = (2 * math.log(2) + 3 * math.log(3)) / 6 - math.log(2)
    assert by_inputs.item() == pytest.approx(expected, rel=1e-13)
    assert by_weight.flatten().tolist() == pytest.approx([1 / 6, -2 / 3, 1 / 2], rel=1e-13)


def test_derivatives_up_to_the_third_are_those_of_torch(route):
    inputs, weight, target = example()

    def derivatives(loss):
        """The gradient that arrives depends on the variables as well."""
        first = torch.autograd.grad(
            loss(inputs, weight, target).square().sum(), (inputs, weight), create_graph=True
        )
        total = sum(grad.pow(3).sum() for grad in first)
        second = torch.autograd.grad(total, (inputs, weight), create_graph=True)
        total = sum(grad.square().sum() for grad in second)
        return *first, *second, *torch.autograd.grad(total, (inputs, weight))

    for ours, theirs in zip(derivatives(linear_cross_entropy), derivatives(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frozen", [None, 0, 1])
def test_first_and_second_derivatives_by_differences(route, frozen):
    inputs, weight, target = example()
    values = [inputs, weight]
    if frozen is not None:
        values[frozen].requires_grad_(False)

    def loss(inputs, weight):
        return linear_cross_entropy(inputs, weight, target)

    assert torch.autograd.gradcheck(loss, values)
    assert torch.autograd.gradgradcheck(loss, values)


@pytest.mark.parametrize("place", [0, 6])
def test_far_apart_logits_neither_overflow_nor_vanish(route, place):
    weight = torch.zeros(7, 1)
    weight[place] = 1.0
    inputs = torch.tensor([[3e4], [-3e4]], requires_grad=True)
    target = torch.tensor([place, 3])
    loss = linear_cross_entropy(inputs, weight, target)
    torch.testing.assert_close(loss, torch.tensor([0.0, math.log(6)]))
    (grad,) = torch.autograd.grad(loss.sum(), inputs)
    assert grad.tolist() == [[0.0], [0.0]]


def test_float32_is_as_exact_as_torch(route):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(5, 8, generator=generator, requires_grad=True)
    weight = torch.randn(300, 8, generator=generator, requires_grad=True)
    target = torch.tensor([0, 299, 7, 7, 150])
    ours, theirs = (
        torch.autograd.grad(loss(inputs, weight, target).mean(), (inputs, weight))
        for loss in (linear_cross_entropy, plain)
    )
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-7)


def test_autocast_rounds_the_factors_and_sums_in_float32(route):
    inputs, weight, target = example()
    inputs = inputs.detach().float().bfloat16().requires_grad_()
    weight = weight.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = linear_cross_entropy(inputs, weight, target)
    rounded = plain(inputs.float(), weight.bfloat16().float(), target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, rounded, rtol=0, atol=2e-2)
    assert not torch.allclose(loss, plain(inputs.float(), weight, target), rtol=0, atol=1e-5)
    grads = torch.autograd.grad(loss.sum(), (inputs, weight), create_graph=True)
    assert [grad.dtype for grad in grads] == [torch.bfloat16, torch.float32]
    exact = torch.autograd.grad(rounded.sum(), (inputs, weight))
    for mine, other in zip(grads, exact, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=3e-2)
    total = sum(grad.float().square().sum() for grad in grads)
    assert all(g.isfinite().all() for g in torch.autograd.grad(total, (inputs, weight)))


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that is made inside."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_above_the_size_nothing_larger_than_the_weight_is_made(monkeypatch):
    """32 examples, 1000 items: 32,000 logits, of which a tile has 640 and the weight 2000."""
    monkeypatch.setitem(_cross_entropy._SIZES, "cpu", (640, 31_999))
    inputs = torch.randn(32, 2, requires_grad=True)
    weight = torch.randn(1000, 2, requires_grad=True)
    target = torch.arange(32)
    with Largest() as largest:
        loss = linear_cross_entropy(inputs, weight, target).sum()
        grads = torch.autograd.grad(loss, (inputs, weight), create_graph=True)
        torch.autograd.grad(sum(grad.square().sum() for grad in grads), (inputs, weight))
    assert largest.numbers == 2000


def test_exponentials_are_kept_up_to_the_size_and_only_for_a_backward_pass(monkeypatch):
    monkeypatch.setitem(_cross_entropy._SIZES, "cpu", (640, 32_000))
    inputs, weight = torch.randn(32, 2), torch.randn(1000, 2, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        linear_cross_entropy(inputs, weight, torch.arange(32))
    assert sum(kept) == 32_000 + 50 * 32 + inputs.numel() + weight.numel() + 2 * 32
    with torch.no_grad():
        assert not _cross_entropy._Plan.of(inputs, weight).keeps
