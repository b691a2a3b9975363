import math

import numpy as np
import pytest
import torch
from method_toys import (
    TABLE,
    StepModel,
    StepTask,
    dense_hessian,
    fit,
    flat_head,
    fresh,
    mean_loss,
    pairs,
    toy_request,
    toy_table,
    toy_world,
    weights,
)
from pydantic import ValidationError

from erase_ray.methods import METHODS
from erase_ray.methods._curvature import gradient_sum, weighted_batches
from erase_ray.methods.scif import Scif

EXACT = {"damping": 1e-7, "tolerance": 1e-12, "max_iterations": 500, "num_retain": 10_000}


def scif(**settings) -> Scif:
    free = {"num_negatives": 4, "max_rise": float("inf")}
    return Scif(Scif.Settings(**free | settings))


def steps(rows=(12, 15), dropout=0.0, **options):
    model = fresh(StepModel, TABLE, dropout=dropout)
    return model, toy_request(toy_world(StepTask(), TABLE), rows, **options)


def dense_step(model, request, hessian_parts, damping):
    """(1/N) (H + λI)⁻¹ (Σ_forget ∇ℓ − Σ_cleaned ∇ℓ), H from (examples, weight, draws).

    The damping is N·λ.
    """

    def batches(examples, weight, draws=4):
        return weighted_batches(examples, weight, 1000, request.seed, draws)

    head = list(model.head_parameters().values())
    rhs = gradient_sum(model, head, batches(request.forget, 1.0))
    rhs -= gradient_sum(model, head, batches(request.cleaned, 1.0))
    H = dense_hessian(model, [one for part in hessian_parts for one in batches(*part)])[0]
    damped = H + damping / request.training_size * torch.eye(len(H), dtype=H.dtype)
    return torch.linalg.solve(damped, rhs) / request.training_size


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("make", [pairs, steps])
@pytest.mark.parametrize("num_retain", [0, 17])
def test_step_is_the_dense_solution(make, num_retain):
    model, request = make()
    N = request.training_size
    own = torch.count_nonzero(request.world.examples.users == 1).item()
    assert (len(request.forget), len(request.cleaned)) == ((2, 0) if make is pairs else (4, 2))
    retain = request.retain(num_retain)
    share = (N - own) / num_retain if num_retain else 0
    parts = [(request.kept, 1 / N), (retain, share / N, 1)]
    expected = dense_step(model, request, parts, 0.1)
    before = flat_head(model)
    method = scif(damping=0.1, tolerance=1e-10, num_retain=num_retain, batch_size=7)
    outcome = method.forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason == ""
    assert relative_error(flat_head(model) - before, expected) < 1e-6
    assert outcome.details["step_norm"] == pytest.approx(expected.norm().item(), rel=1e-6)
    assert outcome.details["num_retain"] == num_retain


@pytest.mark.parametrize("make", [pairs, steps])
def test_hessian_is_that_of_all_that_is_left_when_the_sample_is_everybody(make):
    model, request = make()
    world = request.world
    left = world.task.examples(request.after, world.split, world.cut)
    expected = dense_step(model, request, [(left, 1 / request.training_size)], 0.1)
    before = flat_head(model)
    scif(damping=0.1, tolerance=1e-10, num_retain=10_000).forget(model, request)
    assert relative_error(flat_head(model) - before, expected) < 1e-6


def test_user_rows_need_no_sample_and_nobody_else_moves():
    models = []
    for num_retain in (0, 50):
        model, request = pairs()
        before = weights(model)
        scif(num_retain=num_retain).forget(model, request)
        after = weights(model)
        others = torch.arange(TABLE.num_users) != 1
        assert torch.equal(after["user"][others], before["user"][others])
        assert not torch.equal(after["user"][1], before["user"][1])
        models.append(after)
    torch.testing.assert_close(models[0]["user"], models[1]["user"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("make", [pairs, steps])
def test_moves_toward_the_retrained_model(make):
    model, request = make(rows=(12,))
    world = request.world
    left = world.task.examples(request.after, world.split, world.cut)
    retrained, _ = make(rows=(12,))
    fit(model, world.examples, request.seed)
    fit(retrained, left, request.seed)
    base, goal = flat_head(model), flat_head(retrained)
    sensitive, retained = mean_loss(model, request.forget), mean_loss(model, left)
    scif(**EXACT).forget(model, request)
    assert relative_error(flat_head(model) - base, goal - base) < 0.15
    rise = mean_loss(model, request.forget) - sensitive
    goal_rise = mean_loss(retrained, request.forget) - sensitive
    assert goal_rise > 0.002
    assert 0.5 * goal_rise < rise < 2 * goal_rise
    assert abs(mean_loss(model, left) / retained - 1) < 0.01


def test_a_small_request_comes_within_a_few_percent_of_the_retrained_model():
    table = toy_table(num_users=12, num_items=60, length=40)
    for row in (41, 55, 79):
        model, request = pairs(rows=(row,), table=table)
        world = request.world
        left = world.task.examples(request.after, world.split, world.cut)
        fit(model, world.examples, request.seed)
        base = flat_head(model)
        scif(**EXACT).forget(model, request)
        found = flat_head(model) - base
        fit(model, left, request.seed)
        assert relative_error(found, flat_head(model) - base) < 0.05


def test_chain_stays_near_the_retrained_model():
    """One request after another, each from where the last one left the weights."""
    model, _ = steps()
    world = toy_world(StepTask(), TABLE)
    fit(model, world.examples, 7)
    base, forgotten, asked = flat_head(model), np.zeros(0, np.int64), []
    for user in range(4):
        request = toy_request(world, [9 * user + 4], forgotten, asked)
        request.training_size = len(world.examples) - len(forgotten)
        assert scif(**EXACT).forget(model, request).status == "applied"
        forgotten, asked = np.append(forgotten, request.spec.rows), [*asked, user]
    retrained, _ = steps()
    left = TABLE.without(forgotten)
    fit(retrained, world.task.examples(left, world.split, world.cut), 7)
    goal = flat_head(retrained)
    assert relative_error(flat_head(model) - base, goal - base) < 0.25


def test_dropout_has_no_part_in_it():
    found = []
    for dropout in (0.0, 0.5):
        model, request = steps(dropout=dropout)
        model.train()
        scif().forget(model, request)
        assert model.training
        found.append(weights(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_same_request_same_bits_whatever_the_batches_and_the_budget():
    found = []
    for budget in (512.0, 512.0, 0.0, 0.01):
        model, request = steps()
        scif(graph_budget_mb=budget, batch_size=16).forget(model, request)
        found.append(flat_head(model))
    assert all(torch.equal(one, found[0]) for one in found)
    model, request = steps()
    scif(batch_size=5).forget(model, request)
    torch.testing.assert_close(flat_head(model), found[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("make", [pairs, steps])
def test_changes_its_parameters_alone_and_leaves_no_gradient(make):
    model, request = make()
    before = weights(model)
    changes = scif().changes(model)
    scif().forget(model, request)
    for name, weight in model.named_parameters():
        assert weight.grad is None
        assert torch.equal(weight, before[name]) == (name not in changes)
        assert weight.requires_grad


def test_frozen_others_do_not_matter():
    found = []
    for freeze in (False, True):
        model, request = steps()
        model.before.requires_grad_(not freeze)
        scif().forget(model, request)
        found.append(flat_head(model))
    assert torch.equal(*found)


def test_max_norm_shortens_the_step():
    model, request = pairs()
    before = flat_head(model)
    outcome = scif().forget(model, request)
    step = flat_head(model) - before
    model, request = pairs()
    limit = step.norm().item() / 4
    short = scif(max_norm=limit).forget(model, request)
    torch.testing.assert_close(flat_head(model) - before, step / 4)
    assert short.details["step_norm"] == outcome.details["step_norm"]


def test_counts():
    model, request = pairs(rows=(12, 15))
    outcome = scif(num_retain=30, batch_size=4, num_negatives=2).forget(model, request)
    kept = math.ceil(len(request.kept) / 4)
    assert outcome.num_gradients == 1, "two examples and both draws fit one mini-batch"
    assert outcome.num_hvps == outcome.details["iterations"] * (2 * kept + math.ceil(30 / 4))


def test_nothing_was_learned_from_it():
    model, request = steps(rows=(3,))
    request.world.split.marks[:] = 0
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    before = weights(model)
    outcome = scif().forget(model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_gradients_that_cancel():
    model, request = steps()
    request.__dict__["cleaned"] = request.forget
    before = flat_head(model)
    outcome = scif().forget(model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "forgotten and cleaned examples have the same gradient"
    assert torch.equal(flat_head(model), before)


def test_weights_that_are_not_finite():
    model, request = pairs()
    with torch.no_grad():
        model.user[1, 0] = math.nan
    outcome = scif().forget(model, request)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the gradient of the examples to forget is not finite"
    assert "step_norm" not in outcome.details or math.isfinite(outcome.details["step_norm"])


def test_curvature_that_is_not_finite():
    model, request = steps()
    # other people's examples meet a broken vector, those of the right-hand side do not
    known = torch.cat([request.forget.previous, request.cleaned.previous])
    broken = next(item for item in range(TABLE.num_items) if item not in known)
    with torch.no_grad():
        model.before[broken] = math.inf
    before = flat_head(model)
    outcome = scif().forget(model, request)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the solution is not finite after 1 iterations of conjugate gradient"
    assert torch.equal(flat_head(model), before)


def test_deadline():
    model, request = pairs(limit_s=0.0)
    before = flat_head(model)
    outcome = scif().forget(model, request)
    assert outcome.status == "timed_out"
    assert outcome.reason == "0 s were over after 0 iterations of conjugate gradient"
    assert torch.equal(flat_head(model), before)


def test_cut_short_by_the_number_of_iterations():
    model, request = steps()
    outcome = scif(max_iterations=2, tolerance=1e-9).forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason.startswith("cut short after 2 iterations of conjugate gradient; the ")
    assert outcome.details["iterations"] == 2
    assert f"{outcome.details['residual']:.1e}" in outcome.reason


def test_negative_curvature_is_recorded():
    model, request = steps()
    model.settings = model.Settings(l2=-5.0)
    before = flat_head(model)
    outcome = scif().forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason.startswith("cut short by negative curvature after 1 iterations of ")
    assert outcome.details["negative_curvature"] == 1.0
    head = list(model.head_parameters().values())
    with torch.no_grad():
        moved = flat_head(model) - before
    for weight, piece in zip(head, before.split([w.numel() for w in head]), strict=True):
        weight.data.copy_(piece.view_as(weight))
    rhs = gradient_sum(model, head, weighted_batches(request.forget, 1.0, 100, 7))
    rhs -= gradient_sum(model, head, weighted_batches(request.cleaned, 1.0, 100, 7))
    torch.testing.assert_close(moved, rhs / request.training_size)


def test_is_found_by_its_name():
    assert METHODS.get("scif") is Scif
    assert METHODS.get("scif").needs_base


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("damping", 0.0, r"damping\n\s+Input should be greater than 0"),
        ("tolerance", 1.0, r"tolerance\n\s+Input should be less than 1"),
        ("max_norm", 0.0, r"max_norm\n\s+Input should be greater than 0"),
        ("num_negatives", 0, r"num_negatives\n\s+Input should be greater than or equal to 1"),
        ("dampening", 1.0, r"dampening\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Scif.Settings(**{key: value})
