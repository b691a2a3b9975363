"""The bound of ceu; the rest is in test_certified.py."""

import math

import pytest
import torch
from certified_toys import (
    EVERYBODY,
    FREE,
    NUM_DRAWS,
    ConvexSteps,
    ConvexUsers,
    ToyChain,
    apart,
    flat,
    left_of,
    make,
    optimum,
)
from method_toys import PairTask, StepTask, fresh, toy_table, toy_world

from erase_ray.experiment.chain import attempt
from erase_ray.methods import Deadline
from erase_ray.methods._curvature import gradient_sum, weighted_batches
from erase_ray.methods._gaussian import add_noise
from erase_ray.methods.ceu import Ceu

TABLE = toy_table()
L2 = {ConvexUsers: 0.05, ConvexSteps: 0.02}
TOYS = pytest.mark.parametrize("toy", [ConvexUsers, ConvexSteps])


def ceu(**settings) -> Ceu:
    return Ceu(Ceu.Settings(**{"convex": True} | FREE | settings))


def strength(toy, examples, num_left):
    """Strong convexity of each example on average; a user's row is in the user's losses alone."""
    if toy is ConvexSteps:
        return L2[toy]
    return L2[toy] * torch.bincount(examples.users).min().item() / num_left


def silent_weights(model, details, request):
    """Weights without the noise."""
    found = [weight.detach().clone() for weight in model.parameters()]
    add_noise(found, -details["sigma"], request.seed)
    return torch.cat([weight.flatten() for weight in found])


@TOYS
@pytest.mark.parametrize("damping", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("converged", [True, False])
def test_the_retrained_model_is_within_zeta(toy, damping, converged):
    """For any base model, and even if the step is cut short."""
    for row, iterations in ((12, 500), (41, 500), (79, 2)):
        model, request = make(toy, TABLE, (row,))
        if converged:
            model = optimum(toy, TABLE, request.world.examples, damping)
        left = left_of(request)
        goal = flat(optimum(toy, TABLE, left, damping))
        settings = {"damping": damping, "max_iterations": iterations, "measure": "all"}
        settings["strong_convexity"] = strength(toy, left, len(left))
        outcome = ceu(**settings).forget(model, request)
        details = outcome.details
        assert details["certified"] == 1.0
        distance = (silent_weights(model, details, request) - goal).norm().item()
        assert 0 < distance <= details["zeta"]


def test_zeta_says_something():
    """From an optimum it is far smaller than what was to be forgotten."""
    _, request = make(ConvexSteps, TABLE, (12,))
    model = optimum(ConvexSteps, TABLE, request.world.examples, 0.01)
    goal = optimum(ConvexSteps, TABLE, left_of(request), 0.01)
    away = apart(model, goal)
    settings = EVERYBODY | {"damping": 0.01, "strong_convexity": 0.02, "measure": "all"}
    details = ceu(**settings).forget(model, request).details
    assert details["zeta"] < away


@TOYS
def test_zeta_is_the_gradient_over_the_convexity(toy):
    model, request = make(toy, TABLE, (12, 15))
    settings = {"damping": 0.5, "strong_convexity": 0.01, "measure": "all", "noise": "none"}
    outcome = ceu(**settings).forget(model, request)
    left = left_of(request)
    batches = weighted_batches(left, 1.0, 1000, request.seed, NUM_DRAWS)
    gradient = gradient_sum(model, list(model.parameters()), batches) + 0.5 * flat(model)
    expected = gradient.norm().item() / (0.01 * len(left) + 0.5)
    assert outcome.details["zeta"] == pytest.approx(expected, rel=1e-10)


def test_a_sample_that_is_everybody_measures_the_same():
    found = []
    for measure in ("sample", "all"):
        model, request = make(ConvexSteps, TABLE, (12, 15))
        settings = EVERYBODY | {"measure": measure}
        found.append(ceu(**settings).forget(model, request).details)
    assert found[0]["zeta"] == pytest.approx(found[1]["zeta"], rel=1e-10)
    assert found[0]["certified"] == found[1]["certified"] == 1.0


def test_a_sample_of_some_certifies_nothing():
    model, request = make(ConvexSteps, TABLE, (12, 15))
    details = ceu(num_retain=40).forget(model, request).details
    assert details["certified"] == details["certified_total"] == 0.0
    model, request = make(ConvexSteps, TABLE, (12, 15))
    whole = ceu(measure="all", num_retain=40).forget(model, request).details
    assert 0.5 < details["zeta"] / whole["zeta"] < 2
    assert whole["certified"] == 1.0


def test_a_sample_draws_too_few_negatives_to_certify():
    model, request = make(ConvexUsers, TABLE, (12, 15))
    details = ceu(**EVERYBODY).forget(model, request).details
    assert details["num_retain"] == 99
    assert details["certified"] == 0.0


def test_no_noise_no_certificate():
    model, request = make(ConvexSteps, TABLE, (12, 15))
    details = ceu(measure="all", noise="none").forget(model, request).details
    assert details["certified"] == 0.0
    assert details["zeta"] > 0
    assert "epsilon" not in details
    assert "epsilon_total" not in details


def test_certified_noise_hides_what_is_left_of_it():
    """With data enough, the noise that epsilon = 1 needs is a fraction of the weights."""
    table = toy_table(num_users=150)
    world = toy_world(StepTask(), table)
    base = optimum(ConvexSteps, table, world.examples, 0.01)
    settings = EVERYBODY | {"damping": 0.01, "strong_convexity": 0.02, "noise": "certified"}
    rms = flat(base).square().mean().sqrt().item()
    details = ToyChain(ceu(**settings), base, world).serve([4]).details
    assert details["sigma"] == pytest.approx(4.844805 * details["zeta"], rel=1e-6)
    assert details["epsilon"] <= 1.0
    assert details["sigma"] < rms / 5


@TOYS
def test_chain_is_certified_at_every_request(toy):
    """Also after requests that were not served: the gradient knows of what they left behind."""
    world = toy_world(PairTask() if toy is ConvexUsers else StepTask(), TABLE)
    num, damping = len(world.examples), 0.1
    settings = {"damping": damping, "measure": "all", "noise_scale": 0.1}
    settings["strong_convexity"] = strength(toy, world.examples, num) / 3
    model = optimum(toy, TABLE, world.examples, damping)
    chain = ToyChain(ceu(**EVERYBODY | settings), model, world)
    for user in range(8):
        outcome = chain.serve([9 * user + 4], limit_s=0.0 if user in (2, 5) else math.inf)
        if user in (2, 5):
            assert outcome.status == "timed_out"
            continue
        details = outcome.details
        assert details["certified"] == details["certified_total"] == 1.0
        found = [weight.detach().clone() for weight in chain.model.parameters()]
        add_noise(found, -details["sigma"], 7)
        found = torch.cat([weight.flatten() for weight in found])
        goal = flat(optimum(toy, TABLE, chain.left(), damping))
        assert (found - goal).norm().item() <= details["zeta"]


def test_one_request_without_a_bound_is_not_forgotten():
    world = toy_world(StepTask(), TABLE)
    chain = ToyChain(ceu(measure="all"), fresh(ConvexSteps, TABLE), world)
    assert chain.serve([4]).details["certified_total"] == 1.0
    chain.method = ceu(num_retain=5)
    assert chain.serve([13]).details["certified_total"] == 0.0
    chain.method = ceu(measure="all")
    details = chain.serve([22]).details
    assert (details["certified"], details["certified_total"]) == (1.0, 0.0)


class _AfterTheSolver(Deadline):
    """Passes once it was asked a number of times."""

    def __init__(self, patience):
        super().__init__(1.5)
        self.patience = patience

    def passed(self):
        self.patience -= 1
        return self.patience < 0


def test_deadline_while_the_gradient_is_measured():
    model, request = make(ConvexSteps, TABLE, (12, 15))
    before = flat(model)
    request.deadline = _AfterTheSolver(patience=3)
    outcome, _ = attempt(ceu(measure="all", max_iterations=2, batch_size=10), model, request)
    assert outcome.status == "timed_out"
    assert outcome.reason == "1.5 s were over while the gradient of what is left was measured"
    assert torch.equal(flat(model), before)
    assert not request.state
