import math

import pytest
import torch
from reference_toys import (
    ask,
    build,
    curvature,
    drawn,
    error,
    flat,
    forced_case,
    in_train_mode,
    reference,
    seen,
    slope,
    small_case,
    table_for,
    work_of,
    world_of,
)

from erase_ray.experiment.chain import attempt
from erase_ray.models import Model
from erase_ray.reference._stale_cg import StaleCg
from erase_ray.reference._view import View
from erase_ray.reference.methods.scif import right_hand_side


class Straight(Model):
    """A loss without curvature."""

    name, task = "straight", "cf"

    def __init__(self, shape):
        super().__init__(None, shape)
        self.weight = torch.nn.Parameter(torch.zeros(shape.num_items).double())

    def loss(self, batch):
        return self.weight[batch.item_B]

    reset = scores = head_parameters = None


def straight_solver(num_clean, num_retain=0, damping=0.01):
    table = drawn(num_users=80, length=20)
    model = Straight(build("bpr", table).shape)
    request = ask(world_of(build("bpr", table), table), [50])
    everything = request.world.examples
    view = View(
        everything.take(torch.arange(num_clean + 3)),
        everything.take(torch.arange(num_clean)),
        everything.take(torch.arange(1000, 1000 + num_retain)),
    )
    v_P = torch.linspace(1, 2, table.num_items).double()
    return v_P, StaleCg(work_of(model, request, view), v_P, damping)


@pytest.mark.parametrize(("num_clean", "times"), [(5, 1), (16, 1), (17, 2), (32, 2), (40, 3)])
def test_first_pass_repeats_its_step(num_clean, times):
    """Without curvature v / λ is the solution, and 40 clean examples make three of it."""
    v_P, solver = straight_solver(num_clean)
    assert torch.allclose(solver.run(), times * v_P / 0.01, rtol=1e-12)
    assert solver.num_steps == times


def test_solver_goes_on_with_the_retain_sample():
    """After 40 clean examples the residual is -2 v: the step back is along -2 v + 4 v."""
    v_P, solver = straight_solver(40, num_retain=16)
    r, rho = -2 * v_P, 4 * v_P @ v_P
    p = r + 4 * v_P
    a = rho / (0.01 * p @ p)
    assert torch.allclose(solver.run(), 3 * v_P / 0.01 + a * p, rtol=1e-10)


def test_quota_ends_everything():
    _, solver = straight_solver(256, num_retain=64)
    assert solver.work.view.num_own == 256 + 3  # so 3 x 1024 examples may be seen
    solver.run()
    assert solver.num_steps == 3 * 1024 // 256
    assert solver.work.num_hvps == 12


def test_small_gradients_have_no_curvature():
    v_P, solver = straight_solver(5, num_retain=40)
    solver._p_P = solver._r_P = v_P * 1e-6
    solver._rho = float(solver._r_P @ solver._r_P)
    assert not solver.run().any()


def test_right_hand_side_averages_twice():
    model, request = forced_case()
    table, view = request.world.interactions, seen(request, 8, 12)
    F, C, R = view.num_own, view.num_clean, view.num_retain
    assert (F, C, R) == (6, 4, 12)
    K = 8 * F * max(1, F - C) - C
    start = flat(model)
    expected = (slope(start, view.clean, table) - slope(start, view.own, table)) / K
    expected += slope(start, view.retain, table) / K
    with in_train_mode(model, request):
        found = right_hand_side(work_of(model, request, view))
    assert error(found, expected) < 1e-9


def test_later_batches_of_the_retain_sample_weigh_more():
    """With F = 5 and C = 4 there are 8 * 5 - 4 = 36 to take."""
    _, solver = straight_solver(4)
    work = solver.work
    work.view = View(
        work.view.own.take(torch.arange(5)),
        work.view.clean,
        work.request.world.examples.take(torch.arange(100, 180)),
    )
    found = right_hand_side(work)
    items = [work.view.own.items, work.view.clean.items]
    means = [torch.bincount(one, minlength=30) / len(one) for one in items]
    found -= (means[1] - means[0]) / 36
    # three batches of 16, 16 and 4 weigh 1/36, 1/20 and 1/4
    assert found.sum().item() == pytest.approx(1 / 36 + 1 / 20 + 1 / 4)
    assert work.num_gradients == 2 + 3


def test_step_is_the_one_written_out():
    """One clean batch, one retain batch, dense Hessians divided by the number of examples."""
    model, request = forced_case(num_forget=2)
    table, view = request.world.interactions, seen(request, 8, 32)
    F, C, R = view.num_own, view.num_clean, view.num_retain
    assert (F, C, R) == (6, 4, 12)
    start = flat(model)
    size = model.user_embedding.weight.numel()
    K = 8 * F * 2 - C
    v = (slope(start, view.clean, table) - slope(start, view.own, table)) / K
    v = (v + slope(start, view.retain, table) / K)[:size]
    x, r, p, rho = 0 * v, v, v, v @ v
    for part in (view.clean, view.retain):
        H = curvature(start, part, table)[:size, :size] / len(part)
        q = H @ p + 0.01 * p
        a = rho / (p @ q)
        x, r = x + a * p, r - a * q
        new = r @ r
        if math.sqrt(new) >= 1e-5:
            p, rho = r + new / rho * p, new
    outcome, norm = attempt(reference("scif"), model, request)
    assert outcome.status == "applied"
    assert error((flat(model) - start)[:size], -x / R) < 1e-9
    assert torch.equal(flat(model)[size:], start[size:])
    assert (outcome.num_gradients, outcome.num_hvps) == (3, 2)
    assert norm == pytest.approx(float(x.norm()) / R)


def test_all_users_move_and_max_norm_shortens():
    model, request = small_case("bpr")
    before = model.user_embedding.weight.detach().clone()
    _, norm = attempt(reference("scif", max_norm=1e-5), model, request)
    assert norm == pytest.approx(1e-5, rel=1e-3)
    moved = (model.user_embedding.weight != before).any(1).nonzero().flatten().tolist()
    assert set(moved) == {5, *seen(request, 8, 32).retain.users.tolist()}


@pytest.mark.parametrize(
    ("model_name", "names"),
    [
        ("bpr", {"user_embedding.weight"}),
        ("sgl", {"user_embedding.weight"}),
        ("gru4rec", {"item_embedding.weight", "dense.weight", "dense.bias"}),
        ("narm", {"item_embedding.weight", "b.weight"}),
        ("sasrec", {"item_embedding.weight"}),
        ("srgnn", {"item_embedding.weight", "dense.weight", "dense.bias"}),
    ],
)
def test_changes(model_name, names):
    model = build(model_name, table_for(model_name))
    assert set(reference("scif").changes(model)) == names


def test_changes_all_of_a_basket_model():
    model = build("sets2sets", table_for("sets2sets"))
    assert set(reference("scif").changes(model)) == set(dict(model.named_parameters()))


def test_equal_forget_and_clean_examples_leave_the_retain_gradient():
    model, request = small_case("sets2sets")
    request = ask(request.world, request.world.interactions.row[:1])
    view = seen(request, 8, 32)
    assert (view.num_own, view.num_clean) == (1, 1)
    batch = view.retain.batch(torch.arange(view.num_retain), 0)
    K = 8 - 1
    with in_train_mode(model, request):
        work = work_of(model, request, view)
        v_P = right_hand_side(work)
        loss = model.loss(batch).mean()
        gradient = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    expected = torch.cat([one.flatten() for one in gradient]) / K
    assert view.num_retain <= K
    assert error(v_P, expected) < 1e-5
