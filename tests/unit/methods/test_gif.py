import numpy as np
import pytest
import torch
from gif_toys import (
    SOLVERS,
    TABLE,
    ConvexPairs,
    ConvexSteps,
    flat,
    gif,
    graph,
    left_of,
    pairs,
    steps,
    toy_graph,
)
from method_toys import (
    StepModel,
    StepTask,
    UserModel,
    fit,
    mean_loss,
    toy_request,
    toy_table,
    toy_world,
    weights,
)

from erase_ray.methods._curvature import gradient_sum, smooth, weighted_batches
from erase_ray.methods._graph_term import without_edges
from erase_ray.methods.gif import Gif
from erase_ray.models.lightgcn import LightGcn
from erase_ray.models.sgl import Sgl

EXACT = {"damping": 1e-7, "tolerance": 1e-12, "max_iterations": 20_000, "num_retain": 10_000}


def gradient(model, examples, draws=4):
    batches = weighted_batches(examples, 1.0, 4096, 7, draws)
    with smooth(model):
        return gradient_sum(model, list(model.parameters()), batches)


def dense_hessian(model, examples):
    """Of the mean over N, on one draw for all but the asker, by torch itself."""
    names = dict(model.named_parameters())
    sizes = [weight.numel() for weight in names.values()]

    def total(flat_P):
        pieces = zip(names.items(), flat_P.split(sizes), strict=True)
        values = {name: piece.view_as(weight) for (name, weight), piece in pieces}
        return sum(
            one.weight * torch.func.functional_call(model, values, (one.batch,)).sum()
            for part, draws in examples
            for one in weighted_batches(part, 1.0, 4096, 7, draws)
        )

    with smooth(model):
        return torch.autograd.functional.hessian(total, flat(model))


def dense_step(model, request, rhs, damping):
    """(H + λI)⁻¹ rhs / N, that is ((sum of the Hessians) + damping I)⁻¹ rhs."""
    others = request.retain(10_000)
    assert len(request.kept) + len(others) == len(left_of(request))
    with without_edges(model, request):
        H = dense_hessian(model, [(request.kept, 4), (others, 1)])
    return torch.linalg.solve(H + damping * torch.eye(len(H), dtype=H.dtype), rhs)


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("make", "kind", "damping"),
    [
        (pairs, ConvexPairs, 0.1),
        (steps, ConvexSteps, 0.1),
        (pairs, UserModel, 60.0),
        (steps, StepModel, 60.0),
    ],
)
def test_step_is_the_dense_solution_over_all_parameters(make, kind, damping, solver):
    model, request = make(kind=kind)
    rhs = gradient(model, request.forget)
    rhs -= gradient(model, request.cleaned)
    expected = dense_step(model, request, rhs, damping)
    before = flat(model)
    outcome = gif(**EXACT | {"damping": damping, "solver": solver}).forget(model, request)
    assert (outcome.status, outcome.reason) == ("applied", "")
    assert relative_error(flat(model) - before, expected) < 1e-6
    assert ("series_terms" in outcome.details) == (solver == "neumann")
    assert outcome.details["step_norm"] == pytest.approx(expected.norm().item(), rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("make", [toy_graph, graph])
def test_step_of_a_graph_model_is_the_dense_solution_without_the_edges(make, solver):
    model, request = make(rows=(12, 15))
    damping = 60.0 if make is graph else 1.0
    rhs = gradient(model, request.forget)
    rhs += gradient(model, left_of(request))
    with without_edges(model, request):
        rhs -= gradient(model, left_of(request))
    expected = dense_step(model, request, rhs, damping)
    before = flat(model)
    outcome = gif(**EXACT | {"damping": damping, "solver": solver}).forget(model, request)
    assert (outcome.status, outcome.reason) == ("applied", "")
    assert relative_error(flat(model) - before, expected) < 1e-6
    assert outcome.details["graph_term"] > 0.01
    assert outcome.details["graph_trust"] == 1.0


def test_what_comes_anew_is_read_without_the_edges():
    model, request = toy_graph(rows=(12, 15))
    request.__dict__["cleaned"] = request.kept.take(torch.tensor([0, 4]))
    request.training_size -= 2  # the two were no examples before
    rhs = gradient(model, request.forget) + gradient(model, left_of(request))
    rhs -= gradient(model, request.cleaned)
    with without_edges(model, request):
        rhs -= gradient(model, left_of(request))
    expected = dense_step(model, request, rhs, 1.0)
    before = flat(model)
    gif(**EXACT | {"damping": 1.0}).forget(model, request)
    assert relative_error(flat(model) - before, expected) < 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("make", [pairs, steps, toy_graph])
def test_moves_toward_the_retrained_model(make, solver):
    model, request = make(rows=(12,))
    retrained, _ = make(rows=(12,))
    left = left_of(request)
    fit_all(model, request.world.examples)
    with without_edges(retrained, request):
        fit_all(retrained, left)
        goal, goal_loss = flat(retrained), mean_loss(retrained, request.forget)
    base, sensitive = flat(model), mean_loss(model, request.forget)
    retained = mean_loss(model, left)
    gif(**EXACT, solver=solver).forget(model, request)
    assert relative_error(flat(model) - base, goal - base) < 0.25
    assert torch.cosine_similarity(flat(model) - base, goal - base, 0) > 0.97
    with without_edges(model, request):
        rise, goal_rise = mean_loss(model, request.forget) - sensitive, goal_loss - sensitive
        assert goal_rise > 0.002
        assert 0.5 * goal_rise < rise < 2 * goal_rise
        assert abs(mean_loss(model, left) / retained - 1) < 0.15


def fit_all(model, examples):
    """Minimise the mean loss over all parameters."""
    model.head_parameters = lambda: dict(model.named_parameters())
    fit(model, examples, 7)


def test_more_data_brings_it_nearer_to_the_retrained_model():
    errors = []
    for length in (9, 20, 50):
        table = toy_table(num_users=12, num_items=60, length=length)
        model, request = pairs(rows=(length + 4,), table=table)
        fit_all(model, request.world.examples)
        base = flat(model)
        gif(**EXACT).forget(model, request)
        found = flat(model) - base
        fit_all(model, left_of(request))
        errors.append(relative_error(found, flat(model) - base))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.03


class Again(Gif):
    """A further step from anywhere: downhill on the loss of what is left."""

    def right_hand_side(self, job):
        left = weighted_batches(left_of(job.request), -1.0, 4096, 7)
        return gradient_sum(job.model, job.space.leaves, left)


def test_repeated_newton_steps_end_at_the_retrained_model():
    model, request = steps(rows=(12, 15))
    retrained, _ = steps(rows=(12, 15))
    fit_all(model, request.world.examples)
    fit_all(retrained, left_of(request))
    base, goal = flat(model), flat(retrained)
    first = gif(**EXACT)
    errors = []
    for method in [first] + [Again(first.settings)] * 3:
        method.forget(model, request)
        errors.append(relative_error(flat(model) - base, goal - base))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.3
    assert errors[-1] < 1e-5


def test_what_lost_edges_do_to_others_is_part_of_the_step():
    errors = {}
    for most in (0, 10_000):
        model, request = toy_graph()
        fit_all(model, request.world.examples)
        base = flat(model)
        gif(**EXACT, max_neighbours=most).forget(model, request)
        found = flat(model) - base
        with without_edges(model, request):
            fit_all(model, left_of(request))
        errors[most] = relative_error(found, flat(model) - base)
    assert errors[10_000] < 0.1
    assert errors[0] > 2 * errors[10_000]


@pytest.mark.parametrize("kind", [LightGcn, Sgl])
def test_edges_are_as_before_after_a_request(kind):
    model, request = graph(kind=kind)
    before, degrees = model.graph.weight.clone(), model.graph.degree.clone()
    outcome = gif(damping=60.0).forget(model, request)
    assert outcome.status == "applied"
    assert torch.equal(model.graph.weight, before)
    assert torch.equal(model.graph.degree, degrees)


@pytest.mark.parametrize("when", [1, 3, 5, 8])
def test_edges_are_as_before_after_an_error(when):
    model, request = graph()
    before, weight, calls, loss = model.graph.weight.clone(), flat(model), [], model.loss

    def failing(batch):
        calls.append(bool(torch.equal(model.graph.weight, before)))
        if calls.count(False) == when:
            raise RuntimeError("no memory")
        return loss(batch)

    model.loss = failing
    with pytest.raises(RuntimeError, match="no memory"):
        gif(damping=60.0, batch_size=16).forget(model, request)
    assert torch.equal(model.graph.weight, before)
    assert torch.equal(flat(model), weight)


@pytest.mark.parametrize("make", [steps, toy_graph])
def test_same_request_same_bits_whatever_the_batches_and_the_budget(make):
    found = []
    for budget in (512.0, 512.0, 0.0, 0.01):
        model, request = make()
        gif(graph_budget_mb=budget, batch_size=16).forget(model, request)
        found.append(flat(model))
    assert all(torch.equal(one, found[0]) for one in found)
    model, request = make()
    gif(batch_size=5).forget(model, request)
    torch.testing.assert_close(flat(model), found[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("make", [pairs, steps, toy_graph, graph])
def test_leaves_no_gradient_and_everything_can_change(make):
    model, request = make()
    before = weights(model)
    gif(damping=60.0).forget(model, request)
    for name, weight in model.named_parameters():
        assert weight.grad is None
        assert weight.requires_grad
        assert not torch.equal(weight, before[name])
        assert name in gif().changes(model)


def test_a_chain_of_requests_keeps_near_the_retrained_model():
    model, _ = steps()
    world = toy_world(StepTask(), TABLE)
    fit_all(model, world.examples)
    base, forgotten, asked = flat(model), np.zeros(0, np.int64), []
    for user in range(4):
        request = toy_request(world, [9 * user + 4], forgotten, asked)
        assert gif(**EXACT).forget(model, request).status == "applied"
        forgotten, asked = np.append(forgotten, request.spec.rows), [*asked, user]
    retrained, _ = steps()
    left = TABLE.without(forgotten)
    fit_all(retrained, world.task.examples(left, world.split, world.cut))
    assert relative_error(flat(model) - base, flat(retrained) - base) < 0.25
