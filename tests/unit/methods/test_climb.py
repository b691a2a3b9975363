import math

import pytest
import torch
from torch import nn

from erase_ray.methods._climb import Check, Limits, Way, climb
from erase_ray.methods._curvature import Weighted, gradient_sum
from erase_ray.methods._subspace import Subspace
from erase_ray.models import Model, Shape
from erase_ray.settings import Frozen


class Line(Model):
    """A loss for each kind of batch: ("line", a) is a . w, ("bowl", c) is c |w - 1|^2."""

    class Settings(Frozen):
        pass

    def __init__(self, *start):
        super().__init__(self.Settings(), Shape(1, 1))
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def reset(self, generator):
        pass

    def loss(self, batch):
        kind, value = batch
        if kind == "line":
            return (torch.tensor(value, dtype=torch.float64) @ self.w)[None]
        return value * (self.w - 1).square().sum()[None]

    def scores(self, batch):
        raise AssertionError

    def head_parameters(self):
        return {}


def go(model, watched, limits, guarded=(), checks=()):
    space = Subspace({"w": model.w}, {})
    batches = [Weighted(watched, 1.0)]
    way = Way(
        lambda: gradient_sum(model, space.leaves, batches),
        batches,
        [[Weighted(one, 1.0)] for one in guarded],
        [Check([Weighted(one, 1.0)], rise) for one, rise in checks],
    )
    assert way.batches()[0] is watched
    return climb(model, space, way, limits)


def test_a_straight_slope_takes_one_step():
    """Loss 3x + 4y, height 10: slope 25, so 10/25 of the gradient."""
    model = Line(0.0, 0.0)
    climbed = go(model, ("line", [3.0, 4.0]), Limits(10.0, 5, 100.0))
    torch.testing.assert_close(model.w.detach(), torch.tensor([1.2, 1.6]).double())
    assert (climbed.end, climbed.num_steps, climbed.num_tries) == ("height", 1, 1)
    assert (climbed.before, climbed.num_halvings) == (0.0, 0)
    assert math.isclose(climbed.after, 10.0)


def test_steps_are_clipped():
    """At most a norm of 1: (0.6, 0.8) each time, which gains 5."""
    model = Line(0.0, 0.0)
    climbed = go(model, ("line", [3.0, 4.0]), Limits(10.0, 5, 1.0))
    assert (climbed.end, climbed.num_steps) == ("height", 2)
    torch.testing.assert_close(model.w.detach(), torch.tensor([1.2, 1.6]).double())
    model = Line(0.0, 0.0)
    climbed = go(model, ("line", [3.0, 4.0]), Limits(10.0, 1, 1.0))
    assert (climbed.end, climbed.num_steps) == ("max_steps", 1)
    assert math.isclose(climbed.after, 5.0)


def test_too_high_a_step_is_halved():
    """Loss (w - 1)^2 from w = 2 to height 2.

    Slope 4, factor 1/4, so w = 2.5 with loss 2.25 > 2.1; half of it gives 2.25 and 1.5625. Next:
    gradient 2.5, rest 0.4375, factor 0.07, so w = 2.425 with 2.030625, which is near enough.
    """
    model = Line(2.0)
    climbed = go(model, ("bowl", 1.0), Limits(2.0, 5, 100.0))
    assert (climbed.end, climbed.num_steps, climbed.num_halvings) == ("height", 2, 1)
    assert math.isclose(model.w.item(), 2.425)
    assert math.isclose(climbed.after, 2.030625)


def test_no_step_goes_against_what_is_guarded():
    """Of the direction (3, 4) only (0, 4) leaves the loss x alone: 10/16 of it, so y = 2.5."""
    model = Line(0.0, 0.0)
    climbed = go(model, ("line", [3.0, 4.0]), Limits(10.0, 5, 100.0), [("line", [1.0, 0.0])])
    torch.testing.assert_close(model.w.detach(), torch.tensor([0.0, 2.5]).double())
    assert climbed.end == "height"
    assert climbed.num_gradients == 2


def test_what_falls_anyway_is_no_reason_to_turn():
    model = Line(0.0, 0.0)
    go(model, ("line", [3.0, 4.0]), Limits(10.0, 5, 100.0), [("line", [-1.0, 0.0])])
    torch.testing.assert_close(model.w.detach(), torch.tensor([1.2, 1.6]).double())


def test_no_way_around_what_is_guarded():
    model = Line(0.0, 0.0)
    climbed = go(model, ("line", [3.0, 4.0]), Limits(10.0, 5, 100.0), [("line", [3.0, 4.0])])
    assert (climbed.end, climbed.num_steps) == ("flat", 0)
    assert model.w.tolist() == [0.0, 0.0]


def test_checked_loss_may_rise_by_its_share():
    """From its minimum, 0, the checked loss may rise by a hundredth of the floor of 0.1.

    A step of 1 in w has a checked loss of 1; after five halvings it is (1/32)^2 < 0.001.
    """
    model = Line(1.0)
    checks = [(("bowl", 1.0), 0.01)]
    climbed = go(model, ("line", [1.0]), Limits(2.0, 1, 100.0), checks=checks)
    assert (climbed.end, climbed.num_steps, climbed.num_halvings) == ("max_steps", 1, 5)
    assert math.isclose(model.w.item(), 1 + 1 / 32)
    assert math.isclose(climbed.rises[0], (1 / 32) ** 2 / 0.1)


def test_stops_where_a_checked_loss_would_rise():
    model = Line(1.0)
    checks = [(("bowl", 1e6), 0.01)]
    climbed = go(model, ("line", [1.0]), Limits(2.0, 5, 100.0), checks=checks)
    assert (climbed.end, climbed.num_steps, climbed.num_halvings) == ("checks", 0, 8)
    assert climbed.rises == [0.0]
    assert model.w.item() == pytest.approx(1.0, abs=1e-15)


def test_gives_up_when_told():
    model = Line(0.0)
    climbed = go(model, ("line", [1.0]), Limits(2.0, 5, 100.0, lambda: True))
    assert (climbed.end, climbed.num_steps) == ("timed_out", 0)


def test_what_is_high_enough_stays():
    model = Line(3.0)
    climbed = go(model, ("line", [1.0]), Limits(2.0, 5, 100.0))
    assert (climbed.end, climbed.num_steps, climbed.num_tries) == ("height", 0, 0)
    assert model.w.item() == 3.0
