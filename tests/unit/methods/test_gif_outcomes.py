"""What becomes of a request in the end, and what is said about it."""

import math

import pytest
import torch
from gif_toys import SOLVERS, TABLE, flat, gif, pairs, steps, toy_graph
from method_toys import StepModel
from pydantic import ValidationError

from erase_ray.methods import METHODS
from erase_ray.methods.gif import Gif


def test_counts():
    model, request = toy_graph(rows=(12, 15))
    method = gif(num_retain=30, num_negatives=2, max_iterations=3, tolerance=1e-9)
    outcome = method.forget(model, request)
    removed, own, others, samples = 1, 1, 1, 2
    assert outcome.num_gradients == removed + 2 * (own + others)
    products = outcome.num_hvps / samples
    assert outcome.details["series_terms"] == outcome.details["iterations"] == 3
    assert products == 3 + 8
    assert outcome.details["scale"] > 0


def test_negative_curvature_is_left_to_conjugate_gradient():
    model, request = steps(kind=StepModel)
    outcome = gif().forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason.startswith("cut short by negative curvature after ")
    assert " of conjugate gradient, for the Neumann series has no limit; the residual" in (
        outcome.reason
    )
    assert outcome.details["series_terms"] == 0.0
    assert outcome.details["lowest_curvature"] < 0
    other, request = steps(kind=StepModel)
    gif(solver="cg").forget(other, request)
    assert torch.equal(flat(model), flat(other))


def test_negative_curvature_that_only_the_series_meets(monkeypatch):
    """Eight steps of Lanczos do not see all of it; the growth of the residual does."""
    monkeypatch.setattr("erase_ray.methods.gif.NUM_STEPS", 1)
    model, request = steps(kind=StepModel)
    outcome = gif(damping=0.5).forget(model, request)
    assert outcome.details["series_terms"] > 0
    assert "for the Neumann series has no limit" in outcome.reason


def test_cut_short_by_the_number_of_terms():
    model, request = steps()
    outcome = gif(max_iterations=2, tolerance=1e-9).forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason.startswith("cut short after 2 iterations of the Neumann series; the ")
    assert f"{outcome.details['residual']:.1e}" in outcome.reason


def test_max_norm_shortens_the_step():
    model, request = pairs()
    before = flat(model)
    gif().forget(model, request)
    step = flat(model) - before
    model, request = pairs()
    gif(max_norm=step.norm().item() / 4).forget(model, request)
    torch.testing.assert_close(flat(model) - before, step / 4)


def test_nothing_was_learned_from_it():
    model, request = steps(rows=(3,))
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    before = flat(model)
    outcome = gif().forget(model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"
    assert torch.equal(flat(model), before)


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_that_cancel(solver):
    model, request = steps()
    request.__dict__["cleaned"] = request.forget
    before = flat(model)
    outcome = gif(solver=solver).forget(model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "forgotten and cleaned examples have the same gradient"
    assert torch.equal(flat(model), before)


@pytest.mark.parametrize("solver", SOLVERS)
def test_weights_that_are_not_finite(solver):
    model, request = pairs()
    with torch.no_grad():
        model.user[1, 0] = math.nan
    outcome = gif(solver=solver).forget(model, request)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the gradient of the examples to forget is not finite"
    assert all(math.isfinite(value) for value in outcome.details.values())


def test_curvature_that_is_not_finite():
    model, request = steps()
    # other people's examples meet a broken vector, those of the right-hand side do not
    known = torch.cat([request.forget.previous, request.cleaned.previous])
    broken = next(item for item in range(TABLE.num_items) if item not in known)
    with torch.no_grad():
        model.before[broken] = math.inf
    before = flat(model)
    outcome = gif().forget(model, request)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the solution is not finite after 1 iterations of the Neumann series"
    assert torch.equal(flat(model), before)


@pytest.mark.parametrize(
    ("solver", "name"), [("neumann", "the Neumann series"), ("cg", "conjugate gradient")]
)
def test_deadline(solver, name):
    model, request = pairs(limit_s=0.0)
    before = flat(model)
    outcome = gif(solver=solver).forget(model, request)
    assert outcome.status == "timed_out"
    assert outcome.reason == f"0 s were over after 0 iterations of {name}"
    assert torch.equal(flat(model), before)


def test_is_found_by_its_name():
    assert METHODS.get("gif") is Gif
    assert Gif.needs_base
    assert Gif.Settings().solver == "neumann"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("damping", 0.0, r"damping\n\s+Input should be greater than 0"),
        ("max_neighbours", -1, r"max_neighbours\n\s+Input should be greater than or equal to 0"),
        ("solver", "lissa", r"solver\n\s+Input should be 'neumann' or 'cg'"),
        ("k_hops", 2, r"k_hops\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Gif.Settings(**{key: value})
