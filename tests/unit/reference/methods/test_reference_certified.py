"""CEU and IDEA: dense solutions, wrong signs, noise."""

import math

import pytest
import torch
from reference_toys import (
    ask,
    build,
    corrected,
    curvature,
    drawn,
    flat,
    forced_case,
    reference,
    seen,
    slope,
    small_case,
    world_of,
)

from erase_ray.experiment.chain import attempt
from erase_ray.models import TrainingSettings
from erase_ray.reference._cg import FLAT, conjugate_gradient
from erase_ray.training import train_epochs

BARE = {
    "ceu": {"sigma": 0.0},
    "idea": {"sigma": 0.0, "epsilon": 1e9, "tune_factor": 0},
}
"""No noise, no fine-tuning."""


def moved(model, request, name, **settings):
    before = flat(model)
    outcome, _ = attempt(reference(name, **BARE[name] | settings), model, request)
    assert outcome.status == "applied", outcome.reason
    return flat(model) - before, outcome


def farthest(matrix: torch.Tensor) -> float:
    """How far off the solution is at most where curvature along p below 1e-10 ends it.

    No residual r is longer than p, and x is off by the length of r over the lowest eigenvalue.
    """
    lowest = float(torch.linalg.eigvalsh(matrix)[0])
    return math.sqrt(FLAT / lowest) / lowest


def test_ceu_is_the_dense_solution_with_the_wrong_sign():
    model, request = forced_case()
    table, start, view = request.world.interactions, flat(model), seen(request, 8, 1024)
    delta = slope(start, view.own, table) / 6 - slope(start, view.retain, table)
    damped = curvature(start, view.retain, table) + 2 * 0.5 * torch.eye(len(start)).double()
    expected = -torch.linalg.solve(damped, delta) / (6 + 4)
    step, outcome = moved(model, request, "ceu", penalty=0.5)
    assert (step - expected).norm() < farthest(damped) / (6 + 4)
    assert expected.norm() > 1e-3
    assert outcome.num_gradients == 2


def test_idea_is_the_dense_solution_with_the_wrong_sign():
    model, request = forced_case()
    table, start, view = request.world.interactions, flat(model), seen(request, 8, 1024)
    delta = slope(start, view.clean, table) / 4 - slope(start, view.own, table) / 6
    damped = curvature(start, view.retain, table) + 0.5 * torch.eye(len(start)).double()
    expected = torch.linalg.solve(damped, delta)
    step, outcome = moved(model, request, "idea", damping=0.5)
    assert (step - expected).norm() < farthest(damped)
    assert expected.norm() > 1e-3
    assert outcome.num_gradients == 2


def test_without_clean_examples_idea_descends_on_what_should_be_forgotten():
    model, request = forced_case(num_forget=6)
    table, start, own = request.world.interactions, flat(model), seen(request, 8, 1024).own
    step, outcome = moved(model, request, "idea")
    assert outcome.details["C"] == 0
    assert step @ slope(start, own, table) < 0


def trained_case():
    """A BPR model that has learned its data, and somebody who wants three items forgotten."""
    table = drawn(num_users=60, num_items=40, length=10)
    model = build("bpr", table)
    world = world_of(model, table)
    settings = TrainingSettings(learning_rate=0.05, batch_size=64)
    train_epochs(model, world.examples, settings, 1, range(30))
    rows = table.row[table.user == 5]
    return model, ask(world, rows[:3])


@pytest.mark.parametrize("name", ["ceu", "idea"])
def test_sign_is_that_of_reinforcing_and_our_edition_has_the_other(name):
    steps, slopes = [], None
    for method in (
        reference(name, **BARE[name]),
        corrected(name, noise="none", max_rise=float("inf")),
    ):
        model, request = trained_case()
        start = flat(model)
        if slopes is None:
            batches = [request.forget.batch(torch.arange(3), draw) for draw in range(32)]
            loss = torch.stack([model.loss(batch).mean() for batch in batches]).mean()
            gradient = torch.autograd.grad(loss, list(model.parameters()))
            slopes = torch.cat([one.flatten() for one in gradient])
        outcome, _ = attempt(method, model, request)
        assert outcome.status == "applied", outcome.reason
        steps.append(float((flat(model) - start) @ slopes))
    assert steps[0] < 0 < steps[1]


def test_ceu_noise_goes_on_all_weights_over_the_length_of_the_history():
    steps = [moved(*small_case("bpr"), "ceu", sigma=sigma)[0] for sigma in (0.0, 0.1)]
    F, C = (
        seen(small_case("bpr")[1], 8, 1024).__getattribute__(n) for n in ("num_own", "num_clean")
    )
    noise = (steps[1] - steps[0]) * (F + C)
    assert noise.std().item() == pytest.approx(0.1, rel=0.1)
    assert bool((noise != 0).all())


def test_idea_noise_has_the_root_below_the_fraction_line():
    method = reference("idea")
    assert method.noise(0.0) == method.noise(3.0) == 0.1
    assert method.noise(100.0) == pytest.approx(3.22, abs=0.01)
    assert method.noise(100.0) == pytest.approx(0.01 * 100 / (0.1 * math.sqrt(2 * math.log(125))))
    still = {"tune_factor": 0, "epsilon": 1e9}
    steps = [moved(*small_case("bpr"), "idea", **still | {"sigma": s})[0] for s in (0.0, 0.1)]
    assert (steps[1] - steps[0]).std().item() == pytest.approx(0.1, rel=0.1)


def test_equal_forget_and_clean_examples_leave_idea_nothing_to_do():
    """A basket whose first item is not asked for: the clean example is the same one."""
    model, request = small_case("sets2sets")
    request = ask(request.world, request.world.interactions.row[:1])
    before = flat(model)
    outcome, norm = attempt(reference("idea"), model, request)
    assert (outcome.status, norm) == ("skipped", 0.0)
    assert outcome.reason == "conjugate gradient ended at once: flat"
    assert outcome.details["delta_norm"] == 0
    assert torch.equal(flat(model), before)


def test_a_parameter_without_second_derivative_leaves_idea_nothing_to_do():
    model, request = small_case("bpr")
    model.register_parameter("unused", torch.nn.Parameter(torch.ones(2)))
    outcome = reference("idea").forget(model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "conjugate gradient ended at once: no second derivative by unused"
    outcome = reference("ceu").forget(*small_case("bpr"))
    assert outcome.status == "applied"


def test_absolute_rules_end_conjugate_gradient():
    matrix = torch.diag(torch.tensor([1.0, 2.0, 5.0]).double())
    rhs = torch.tensor([1.0, 1.0, 1.0]).double()
    found = conjugate_gradient(lambda v: matrix @ v, rhs, 100)
    assert found.end == "converged"
    assert torch.allclose(found.x_P, rhs / matrix.diagonal())
    found = conjugate_gradient(lambda v: matrix @ v, 1e-6 * rhs, 100)
    assert (found.end, found.iterations, float(found.x_P.norm())) == ("flat", 0, 0.0)
    found = conjugate_gradient(lambda v: -matrix @ v, rhs, 100)
    assert (found.end, found.iterations) == ("negative curvature", 0)
    found = conjugate_gradient(lambda v: matrix @ v * torch.nan, rhs, 100)
    assert found.end == "not finite"
    assert conjugate_gradient(lambda v: matrix @ v, rhs, 1).end == "all iterations"
