import pytest
import torch
from reference_toys import (
    WholeSessions,
    ask,
    build,
    curvature,
    drawn,
    error,
    flat,
    forced_case,
    reference,
    seen,
    slope,
    small_case,
    world_of,
)

from erase_ray.experiment.chain import attempt

QUIET = {"retain_samples": 1}
"""One example of fine-tuning, which a learning rate of 1e-12 makes nothing of."""


def moved(model, request, **settings):
    before = flat(model)
    outcome, _ = attempt(reference("gif", **QUIET | settings), model, request)
    assert outcome.status == "applied", outcome.reason
    return flat(model) - before, outcome


def test_bpr_moves_by_101_times_the_gradient_of_the_whole_history():
    model, request = forced_case()
    start, own = flat(model), seen(request, 0, 128).own
    assert len(own) == 6  # two of them are to be forgotten
    delta = slope(start, own, request.world.interactions) / 6
    step, outcome = moved(model, request)
    assert error(step, 101 * delta) < 1e-3
    step, _ = moved(*forced_case(), damping=0.0)
    assert error(step, 101 * delta) < 1e-9
    assert outcome.num_hvps == 100
    assert outcome.details["series_terms"] == 100


def test_gru4rec_moves_by_101_times_the_gradient_without_any_hessian():
    table = drawn()
    model = build("gru4rec", table, dropout=0.0).double()
    own = table.row[table.user == 5]
    request = ask(world_of(model, table, WholeSessions()), own[3:5])
    examples = seen(request, 0, 128).own
    assert len(examples) == 11
    loss = model.loss(examples.batch(torch.arange(11), 0)).mean()
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    delta = torch.cat([one.flatten() for one in gradient]) / 11
    step, outcome = moved(model, request, damping=1e6)
    assert error(step, 101 * delta) < 1e-9
    assert outcome.num_hvps == 0


def test_series_is_that_of_the_recursion():
    model, request = forced_case()
    table, start = request.world.interactions, flat(model)
    view = seen(request, 0, 128)
    delta = slope(start, view.own, table) / 6
    step = 50.0 * curvature(start, view.retain, table)  # damping / scale
    h = delta
    for _ in range(3):
        h = delta + h - step @ h
    found, _ = moved(model, request, damping=50.0, scale_factor=1.0, iterations=3)
    assert error(found, h) < 1e-9


def test_small_gradients_stop_at_12():
    model, request = forced_case()
    with torch.no_grad():
        model.user_embedding.weight[5] *= 0
        model.item_embedding.weight *= 1e-7
    delta = slope(flat(model), seen(request, 0, 128).own, request.world.interactions) / 6
    assert 0 < delta.norm() < 1e-6
    step, outcome = moved(model, request)
    assert outcome.details["series_terms"] == 10
    assert error(step, 12 * delta) < 1e-4


def test_step_is_cut_to_max_norm():
    step, _ = moved(*forced_case(), max_norm=1e-3)
    assert step.norm().item() == pytest.approx(1e-3, rel=1e-6)


def test_graph_models_get_the_difference_of_two_other_graphs():
    model, request = small_case("lightgcn")
    model.double()
    plain, request_2 = small_case("lightgcn")
    plain.double()
    step, outcome = moved(model, request, iterations=0)
    own = seen(request_2, 0, 128).own
    losses = [plain.loss(own.batch(torch.arange(len(own)), draw)).mean() for draw in range(200)]
    gradient = torch.autograd.grad(torch.stack(losses).mean(), list(plain.parameters()))
    history = torch.cat([one.flatten() for one in gradient]) / len(own)
    assert (step - history).norm() > 3 * history.norm()
    assert outcome.num_gradients == 1 + 2 + 1


def test_fine_tuning_takes_the_steps_of_its_quota():
    """R = 30 of F = 9: five epochs of 16F = 144 examples, one mini-batch each."""
    model, request = small_case("bpr")
    outcome = reference("gif").forget(model, request)
    view = seen(request, 0, 128)
    F, R = view.num_own, view.num_retain
    near = -(-16 * F // 256)
    assert outcome.num_gradients == 1 + 2 * near + (1 + 16 * F // R)
