"""The bound of idea; the rest is in test_certified.py."""

import math

import numpy as np
import pytest
import torch
from certified_toys import (
    EVERYBODY,
    FREE,
    ConvexSteps,
    ConvexUsers,
    ToyChain,
    flat,
    left_of,
    make,
    optimum,
)
from method_toys import PairTask, StepTask, fresh, toy_table, toy_world
from pydantic import ValidationError

from erase_ray.methods._certified import norm_on_all
from erase_ray.methods._curvature import weighted_batches
from erase_ray.methods._gaussian import add_noise
from erase_ray.methods.idea import Idea

TABLE = toy_table()


def idea(**settings) -> Idea:
    return Idea(Idea.Settings(**{"convex": True} | FREE | settings))


def largest_gradient(model, examples):
    """The longest gradient of one example's loss."""
    found = []
    for number in range(len(examples)):
        [one] = weighted_batches(examples.take(torch.tensor([number])), 1.0, 1, 7)
        gradients = torch.autograd.grad(model.loss(one.batch).sum(), list(model.parameters()))
        found.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
    return max(found)


def silent(chain, details):
    found = [weight.detach().clone() for weight in chain.model.parameters()]
    add_noise(found, -details["sigma"], 7)
    return torch.cat([weight.flatten() for weight in found])


def lipschitz(optima, examples):
    """L over a ball that holds all the optima.

    The cross entropy's gradient is 1-bounded in the logits by √2, and the penalty's is l2 ‖θ‖.
    """
    vectors = fresh(ConvexSteps, TABLE).before
    longest = max(float(torch.linalg.vector_norm(flat(one))) for one in optima)
    return math.sqrt(2) * math.sqrt(1 + float(vectors.square().sum(1).max())) + 0.02 * longest


def test_zeta_worked_by_hand():
    """k L / M and the step: (4 + 2) 0.7 / (0.02 · 94 + 0.5)."""
    model, request = make(ConvexSteps, TABLE, (12, 15))
    assert (len(request.forget), len(request.cleaned)) == (4, 2)
    assert request.training_size == 96
    before = flat(model)
    settings = {"damping": 0.5, "strong_convexity": 0.02, "lipschitz": 0.7, "noise": "none"}
    details = idea(**settings).forget(model, request).details
    moved = (flat(model) - before).norm().item()
    assert details["moved"] == pytest.approx(moved, rel=1e-10)
    assert details["zeta"] == pytest.approx(6 * 0.7 / (0.02 * 94 + 0.5) + moved, rel=1e-10)
    assert details["certified"] == 0.0


def test_zeta_begins_with_the_distance_of_the_base_model():
    model, request = make(ConvexSteps, TABLE, (12,))
    method = idea(damping=0.5, strong_convexity=0.02)
    world = request.world
    state = method.begin(model, world)
    named = dict(model.named_parameters())
    norm, _ = norm_on_all(model, named, world.examples, method.settings, world.seed)
    distance = float(state["distance"])
    assert distance == pytest.approx(norm / (0.02 * 96 + 0.5), rel=1e-12)
    optimal = optimum(ConvexSteps, TABLE, world.examples, 0.5)
    assert 0 < (flat(model) - flat(optimal)).norm().item() <= distance
    request.state = dict(state)
    with_base = method.forget(model, request).details
    model, request = make(ConvexSteps, TABLE, (12,))
    without = method.forget(model, request).details
    assert with_base["zeta"] - without["zeta"] == pytest.approx(distance, rel=1e-9)
    assert (with_base["certified"], without["certified"]) == (1.0, 0.0)


def test_begin_measures_nothing_if_nothing_can_be_certified():
    model, request = make(ConvexSteps, TABLE, (12,))
    assert idea(convex=False).begin(model, request.world) == {}


@pytest.mark.parametrize("damping", [0.01, 1.0])
@pytest.mark.parametrize("converged", [True, False])
def test_the_retrained_model_is_within_zeta_all_along_the_chain(damping, converged):
    """Also after requests that were not served."""
    world = toy_world(StepTask(), TABLE)
    base = fresh(ConvexSteps, TABLE)
    if converged:
        base = optimum(ConvexSteps, TABLE, world.examples, damping)
    goals = [
        optimum(ConvexSteps, TABLE, _left(world, range(user + 1)), damping) for user in range(7)
    ]
    bound = lipschitz([*goals, base], world.examples)
    assert bound >= max(largest_gradient(goal, world.examples) for goal in goals)
    settings = {"damping": damping, "strong_convexity": 0.02, "lipschitz": bound}
    chain = ToyChain(idea(**EVERYBODY | settings), base, world)
    before = 0.0
    for user in range(7):
        missed = user in (2, 3)
        outcome = chain.serve([9 * user + 4], limit_s=0.0 if missed else math.inf)
        if missed:
            assert outcome.status == "timed_out"
            continue
        details = outcome.details
        assert details["certified"] == details["certified_total"] == 1.0
        assert (silent(chain, details) - flat(goals[user])).norm().item() <= details["zeta"]
        assert details["zeta"] > before
        before = details["zeta"]


def _left(world, users):
    table = world.interactions.without(np.array([9 * user + 4 for user in users]))
    return world.task.examples(table, world.split, world.cut)


def test_requests_that_were_not_served_move_the_optimum_too():
    """Row 4 of a sequence of 9 changes two examples into one: k = 3, also for those missed."""
    settings = {"damping": 0.5, "lipschitz": 0.7, "convex": False}
    for missed in ((), (13,), (13, 22)):
        world = toy_world(StepTask(), TABLE)
        chain = ToyChain(idea(**settings), fresh(ConvexSteps, TABLE), world)
        first = chain.serve([4]).details
        assert first["zeta"] == pytest.approx(3 * 0.7 / 0.5 + first["moved"], rel=1e-10)
        for row in missed:
            chain.serve([row], limit_s=0.0)
        second = chain.serve([31]).details
        k = 3 * (1 + len(missed))
        grown = second["zeta"] - first["zeta"]
        assert grown == pytest.approx(k * 0.7 / 0.5 + second["moved"], rel=1e-10)
        third = chain.serve([40]).details
        grown = third["zeta"] - second["zeta"]
        assert grown == pytest.approx(3 * 0.7 / 0.5 + third["moved"], rel=1e-10)


def test_requests_missed_before_the_first():
    world = toy_world(StepTask(), TABLE)
    settings = {"damping": 0.5, "lipschitz": 0.7, "convex": False}
    chain = ToyChain(idea(**settings), fresh(ConvexSteps, TABLE), world)
    chain.serve([13], limit_s=0.0)
    details = chain.serve([4]).details
    assert details["zeta"] == pytest.approx(6 * 0.7 / 0.5 + details["moved"], rel=1e-10)


def test_drawn_negatives_are_not_certified():
    world = toy_world(PairTask(), TABLE)
    chain = ToyChain(idea(), fresh(ConvexUsers, TABLE), world)
    assert "measured" in chain.state
    assert chain.serve([4]).details["certified"] == 0.0


def test_one_removed_example_counts_once_where_the_paper_counts_it_twice():
    model, request = make(ConvexUsers, TABLE, (12,))
    assert (len(request.forget), len(request.cleaned)) == (1, 0)
    details = idea(damping=2.0, lipschitz=3.0).forget(model, request).details
    assert details["zeta"] - details["moved"] == pytest.approx(3.0 / 2.0, rel=1e-10)
    assert len(left_of(request)) == request.training_size - 1


def test_lipschitz_constant_must_be_above_zero():
    with pytest.raises(ValidationError, match=r"lipschitz\n\s+Input should be greater than 0"):
        Idea.Settings(lipschitz=0.0)
