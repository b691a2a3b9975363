import math

import pytest
import torch

from erase_ray.models._gated_step import gated, plain_gated


def inputs(nodes=5, width=3):
    generator = torch.Generator().manual_seed(3)
    shapes = ((nodes, width), (nodes, width), (nodes, 3 * width))
    return [
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes
    ]


def test_by_hand():
    old, inner, reset, update, new = 0.3, -0.8, 0.4, -1.1, 0.7
    r, z = (1 / (1 + math.exp(-x)) for x in (reset, update))
    # the part of the new gate that comes from elsewhere is new - inner
    expected = (1 - z) * old + z * math.tanh(new - inner + r * inner)
    values = ([[old]], [[inner]], [[reset, update, new]])
    found = gated(*(torch.tensor(v, dtype=torch.float64) for v in values))
    assert found.item() == pytest.approx(expected, abs=1e-15)


def test_both_ways_are_the_same():
    values = inputs()
    pair = [way(*values) for way in (gated, plain_gated)]
    torch.testing.assert_close(*pair, rtol=1e-14, atol=1e-14)
    grads = [torch.autograd.grad(result.square().sum(), values) for result in pair]
    for fast, plain in zip(*grads, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-13, atol=1e-13)


def test_inputs_stay_as_they_are():
    values = inputs()
    before = [value.detach().clone() for value in values]
    gated(*values).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(values, before, strict=True))


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_gradients(check):
    assert check(gated, tuple(inputs(3, 2)))


def test_second_derivatives_by_one_input_that_made_another():
    """The old state stands in all three inputs, as it does in the model."""

    def together(old_MD):
        return gated(old_MD, old_MD.sin(), torch.cat([old_MD, old_MD.cos(), -old_MD], dim=1))

    assert torch.autograd.gradgradcheck(together, (inputs(3, 2)[0],))
