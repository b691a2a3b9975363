"""What ceu and idea share: the step, the noise, the chain."""

import math

import numpy as np
import pytest
import torch
from certified_toys import (
    EVERYBODY,
    FREE,
    NUM_DRAWS,
    ConvexSteps,
    ConvexUsers,
    ToyChain,
    flat,
    left_of,
    make,
    optimum,
)
from method_toys import (
    PairTask,
    StepTask,
    UserModel,
    fresh,
    mean_loss,
    toy_request,
    toy_table,
    toy_world,
    weights,
)
from pydantic import ValidationError

from erase_ray import seeds
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods._certified import norm_on_all, norm_on_sample
from erase_ray.methods._curvature import gradient_sum, weighted_batches
from erase_ray.methods._gaussian import add_noise, epsilon_of, sigma_for
from erase_ray.methods.ceu import Ceu
from erase_ray.methods.idea import Idea
from tests.conftest import make_model, planted

TABLE = toy_table()
BOTH = pytest.mark.parametrize("kind", [Ceu, Idea])
TOYS = pytest.mark.parametrize("toy", [ConvexUsers, ConvexSteps])


def method(kind, **settings):
    return kind(kind.Settings(**FREE | settings))


def silent(kind, **settings):
    return method(kind, **{"noise": "none"} | settings)


def dense_hessian(model, batches):
    names = dict(model.named_parameters())
    sizes = [weight.numel() for weight in names.values()]

    def total(vector):
        pieces = zip(names.items(), vector.split(sizes), strict=True)
        values = {name: piece.view_as(weight) for (name, weight), piece in pieces}
        calls = (torch.func.functional_call(model, values, (one.batch,)) for one in batches)
        return sum(one.weight * loss.sum() for one, loss in zip(batches, calls, strict=True))

    return torch.autograd.functional.hessian(total, flat(model))


def batches_of(request, examples, weight=1.0, draws=NUM_DRAWS):
    return weighted_batches(examples, weight, 1000, request.seed, draws)


def removed_gradient(model, request):
    leaves = list(model.parameters())
    forget = gradient_sum(model, leaves, batches_of(request, request.forget))
    return forget - gradient_sum(model, leaves, batches_of(request, request.cleaned))


@BOTH
@TOYS
@pytest.mark.parametrize("num_retain", [0, 17, 10_000])
def test_step_is_the_dense_solution_over_all_weights(kind, toy, num_retain):
    model, request = make(toy, TABLE, (12, 15))
    retain = request.retain(num_retain)
    own = torch.count_nonzero(request.world.examples.users == 1).item()
    share = (request.training_size - own) / len(retain) if num_retain else 0.0
    batches = batches_of(request, request.kept) + batches_of(request, retain, share, 1)
    H = dense_hessian(model, batches)
    damped = H + 0.1 * torch.eye(len(H), dtype=H.dtype)
    expected = torch.linalg.solve(damped, removed_gradient(model, request))
    before = flat(model)
    outcome = silent(kind, damping=0.1, num_retain=num_retain, batch_size=7).forget(model, request)
    assert outcome.status == "applied"
    step = flat(model) - before
    assert (step - expected).norm() < 1e-6 * expected.norm()
    assert outcome.details["moved"] == pytest.approx(expected.norm().item(), rel=1e-6)
    assert outcome.details["sigma"] == 0.0
    assert outcome.details["certified"] == 0.0
    assert "epsilon" not in outcome.details


@BOTH
def test_weights_that_are_no_head_move_too(kind):
    request = toy_request(toy_world(PairTask(), TABLE), (12, 15))
    model = fresh(UserModel, TABLE)
    before = weights(model)
    silent(kind).forget(model, request)
    assert not torch.equal(model.item, before["item"])
    assert not torch.equal(model.user[1], before["user"][1])


@BOTH
@TOYS
def test_step_goes_to_the_retrained_model(kind, toy):
    """The sign, the length, and what it does to both losses."""
    _, request = make(toy, TABLE, (12,))
    model = optimum(toy, TABLE, request.world.examples, 0.01)
    goal = optimum(toy, TABLE, left_of(request), 0.01)
    base, wanted = flat(model), flat(goal) - flat(model)
    sensitive, left = mean_loss(model, request.forget), left_of(request)
    retained = mean_loss(model, left)
    silent(kind, damping=0.01, **dict(EVERYBODY)).forget(model, request)
    step = flat(model) - base
    assert torch.cosine_similarity(step, wanted, dim=0) > 0.98
    assert (step - wanted).norm() < 0.2 * wanted.norm()
    rise = mean_loss(model, request.forget) - sensitive
    goal_rise = mean_loss(goal, request.forget) - sensitive
    assert goal_rise > 0.002
    assert 0.5 * goal_rise < rise < 2 * goal_rise
    assert abs(mean_loss(model, left) / retained - 1) < 0.15


@BOTH
def test_both_take_the_same_step(kind):
    model, request = make(ConvexSteps, TABLE, (12, 15))
    silent(kind).forget(model, request)
    other, request = make(ConvexSteps, TABLE, (12, 15))
    silent(Ceu).forget(other, request)
    assert torch.equal(flat(model), flat(other))


@BOTH
def test_noise_of_the_budget_is_drawn_from_the_seed_of_the_request(kind):
    model, request = make(ConvexSteps, TABLE, (12,))
    rms = flat(model).square().mean().sqrt().item()
    outcome = method(kind, noise_scale=0.02).forget(model, request)
    quiet, again = make(ConvexSteps, TABLE, (12,))
    silent(kind).forget(quiet, again)
    sigma = outcome.details["sigma"]
    assert sigma == pytest.approx(0.02 * rms, rel=1e-12)
    add_noise(list(quiet.parameters()), sigma, request.seed)
    torch.testing.assert_close(flat(model), flat(quiet), rtol=0, atol=1e-14)
    details, delta = outcome.details, 1e-5
    assert details["delta"] == details["delta_total"] == delta
    assert details["epsilon"] == epsilon_of(details["zeta"] / sigma, delta)
    assert details["epsilon_total"] == pytest.approx(details["epsilon"], rel=1e-12)


@BOTH
def test_noise_covers_every_weight_of_every_parameter(kind):
    model, request = make(ConvexUsers, TABLE, (12,))
    before = weights(model)
    method(kind).forget(model, request)
    assert all((weight != before[name]).all() for name, weight in weights(model).items())


@BOTH
def test_certified_noise_is_that_of_the_formula(kind):
    model, request = make(ConvexSteps, TABLE, (12,))
    settings = {"noise": "certified", "epsilon": 0.5, "delta": 1e-4}
    details = method(kind, **settings).forget(model, request).details
    # sqrt(2 ln 12500) / 0.5 = 8.687225
    assert details["sigma"] == pytest.approx(8.687225 * details["zeta"], rel=1e-6)
    assert details["sigma"] == sigma_for(details["zeta"], 0.5, 1e-4)
    assert 0.2 < details["epsilon"] <= 0.5


@BOTH
def test_undeclared_convexity_is_never_certified(kind):
    model, request = make(ConvexSteps, TABLE, (12,))
    chain = ToyChain(method(kind, num_retain=10_000), model, request.world)
    details = chain.serve([12]).details
    assert details["certified"] == details["certified_total"] == 0.0
    assert details["epsilon"] > 0


@BOTH
def test_same_request_same_bits(kind):
    found = []
    for settings in ({}, {}, {"graph_budget_mb": 0.0}):
        model, request = make(ConvexSteps, TABLE, (12, 15))
        torch.rand(5)
        outcome = method(kind, **settings).forget(model, request)
        found.append((flat(model), outcome.details))
    assert all(torch.equal(one, found[0][0]) for one, _ in found)
    assert all(details == found[0][1] for _, details in found)


def chain_of(kind, toy=ConvexSteps, model=None, **settings):
    world = toy_world(StepTask() if toy is ConvexSteps else PairTask(), TABLE)
    roots = {"seeds": lambda served: seeds.derive(3, "request", served)}
    options = roots if toy is ConvexSteps else {}
    return ToyChain(method(kind, **settings), model or fresh(toy, TABLE), world, **options)


@BOTH
def test_noise_is_renewed_and_does_not_add_up(kind):
    noisy, quiet = chain_of(kind, **EVERYBODY), chain_of(kind, **EVERYBODY | {"noise": "none"})
    for user in range(4):
        details = noisy.serve([9 * user + 4]).details
        quiet.serve([9 * user + 4])
        gap = flat(noisy.model) - flat(quiet.model)
        size = math.sqrt(len(gap))
        assert 0.7 < (gap.norm() / (details["sigma"] * size)).item() < 1.3
        taken_off = [weight.detach().clone() for weight in noisy.model.parameters()]
        add_noise(taken_off, -details["sigma"], int(noisy.state["noise_seed"]))
        rest = torch.cat([weight.flatten() for weight in taken_off])
        torch.testing.assert_close(rest, flat(quiet.model), rtol=1e-10, atol=1e-12)


@BOTH
def test_budget_keeps_its_standard_deviation_and_adds_up_what_is_spent(kind):
    chain = chain_of(kind)
    found = [chain.serve([9 * user + 4]).details for user in range(5)]
    assert len({details["sigma"] for details in found}) == 1
    spent = np.cumsum([(details["zeta"] / details["sigma"]) ** 2 for details in found])
    for details, square in zip(found, spent, strict=True):
        expected = epsilon_of(math.sqrt(square), 1e-5)
        assert details["epsilon_total"] == pytest.approx(expected, rel=1e-9)
    totals = [details["epsilon_total"] for details in found]
    assert totals == sorted(totals)
    assert totals[-1] > found[-1]["epsilon"]


@BOTH
def test_certified_chain_spends_the_same_each_time(kind):
    chain = chain_of(kind, noise="certified")
    totals = [chain.serve([9 * user + 4]).details["epsilon_total"] for user in range(4)]
    mu = 1 / math.sqrt(2 * math.log(1.25e5))
    expected = [epsilon_of(mu * math.sqrt(k), 1e-5) for k in (1, 2, 3, 4)]
    assert totals == pytest.approx(expected, rel=1e-9)


@BOTH
def test_twenty_requests_stay_near_the_retrained_model(kind):
    world = toy_world(StepTask(), toy_table(num_users=24))
    base = optimum(ConvexSteps, world.interactions, world.examples, 0.01)
    start = flat(base)
    settings = EVERYBODY | {"damping": 0.01, "noise_scale": 1e-3}
    chain = ToyChain(method(kind, **settings), base, world)
    for user in range(20):
        assert chain.serve([9 * user + 4]).status == "applied"
    goal = optimum(ConvexSteps, world.interactions, chain.left(), 0.01)
    wanted = flat(goal) - start
    assert (flat(chain.model) - flat(goal)).norm() < 0.3 * wanted.norm()
    left = chain.left()
    assert mean_loss(chain.model, left) < 1.02 * mean_loss(goal, left)


@BOTH
def test_what_is_not_served_leaves_weights_and_state_alone(kind):
    chain = chain_of(kind)
    chain.serve([4])
    before, state = flat(chain.model), dict(chain.state)
    outcome = chain.serve([13], limit_s=0.0)
    assert outcome.status == "timed_out"
    assert outcome.reason == "0 s were over after 0 iterations of conjugate gradient"
    assert torch.equal(flat(chain.model), before)
    assert chain.state == state
    # the next one takes off the right noise
    other = chain_of(kind, noise="none")
    for rows in ([4], [13]):
        other.serve(rows) if rows == [4] else other.serve(rows, limit_s=0.0)
    details = chain.serve([22]).details
    other.serve([22])
    taken_off = [weight.detach().clone() for weight in chain.model.parameters()]
    add_noise(taken_off, -details["sigma"], int(chain.state["noise_seed"]))
    rest = torch.cat([weight.flatten() for weight in taken_off])
    torch.testing.assert_close(rest, flat(other.model), rtol=1e-8, atol=1e-10)


@BOTH
def test_forget_itself_puts_the_noise_back_when_it_fails(kind):
    chain = chain_of(kind)
    chain.serve([4])
    before = flat(chain.model)
    request = chain.next_request([13], limit_s=0.0)
    assert chain.method.forget(chain.model, request).status == "timed_out"
    assert torch.equal(flat(chain.model), before)


@BOTH
def test_nothing_was_learned_from_it(kind):
    chain = chain_of(kind)
    chain.serve([4])
    before, state = flat(chain.model), dict(chain.state)
    request = chain.next_request([13])
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    outcome, distance = attempt(chain.method, chain.model, request)
    assert (outcome.status, distance) == ("empty", 0.0)
    assert outcome.reason == "no training example contains what is to be forgotten"
    assert torch.equal(flat(chain.model), before)
    assert chain.state == state


@BOTH
def test_gradients_that_cancel(kind):
    model, request = make(ConvexSteps, TABLE, (12, 15))
    request.__dict__["cleaned"] = request.forget
    before = flat(model)
    outcome = method(kind).forget(model, request)
    assert outcome.status == "skipped"
    assert outcome.reason == "forgotten and cleaned examples have the same gradient"
    assert torch.equal(flat(model), before)
    assert not request.state


@BOTH
def test_weights_that_are_not_finite(kind):
    model, request = make(ConvexUsers, TABLE, (12, 15))
    with torch.no_grad():
        model.user[1, 0] = math.nan
    outcome, _ = attempt(method(kind), model, request)
    assert outcome.status == "non_finite"
    assert outcome.reason == "the gradient of the examples to forget is not finite"
    assert not request.state


@BOTH
def test_counts_and_cut_short(kind):
    model, request = make(ConvexSteps, TABLE, (12, 15))
    outcome = method(kind, max_iterations=2, num_retain=30).forget(model, request)
    assert outcome.status == "applied"
    assert outcome.reason.startswith("cut short after 2 iterations of conjugate gradient; the ")
    assert outcome.num_hvps == 2 * 2
    assert outcome.num_gradients == 2 + (2 if kind is Ceu else 0)


@BOTH
def test_attempt_measures_the_change_with_the_noise(kind):
    model, request = make(ConvexUsers, TABLE, (12,))
    before = flat(model)
    _, distance = attempt(method(kind), model, request)
    assert distance == pytest.approx((flat(model) - before).norm().item(), rel=1e-10)


@TOYS
def test_norms_of_the_objective(toy):
    model, request = make(toy, TABLE, (12, 15))
    left, named = left_of(request), dict(model.named_parameters())
    batches = batches_of(request, left)
    direct = gradient_sum(model, list(named.values()), batches) + 0.3 * flat(model)
    settings = Ceu.Settings(**FREE | {"damping": 0.3, "batch_size": 10})
    expected = direct.norm().item()
    assert norm_on_sample(model, named, batches, 0.3) == pytest.approx(expected, rel=1e-12)
    norm, num = norm_on_all(model, named, left, settings, request.seed)
    assert norm == pytest.approx(expected, rel=1e-12)
    assert num == math.ceil(len(left) / 10) * (NUM_DRAWS if toy is ConvexUsers else 1)
    assert norm_on_all(model, named, left, settings, 7, lambda: True) is None
    nothing = norm_on_sample(model, named, [], 0.3)
    assert nothing == pytest.approx(0.3 * flat(model).norm().item(), rel=1e-12)


def test_norm_on_a_sample_counts_the_rows_nobody_reads():
    """Of a narrowed table most rows stay out of the gradient, but not out of the penalty."""
    data = planted("cf")
    model = make_model("bpr", data).double()
    world = toy_world(PairTask(), data.interactions)
    request = toy_request(world, data.interactions.row[:2])
    named = dict(model.named_parameters())
    batches = batches_of(request, request.forget)
    direct = gradient_sum(model, list(named.values()), batches) + 0.5 * flat(model)
    assert norm_on_sample(model, named, batches, 0.5) == pytest.approx(direct.norm().item())


@BOTH
@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("epsilon", 1.5, r"epsilon\n\s+Input should be less than or equal to 1"),
        ("delta", 0.0, r"delta\n\s+Input should be greater than 0"),
        ("delta", 1.0, r"delta\n\s+Input should be less than 1"),
        ("noise", "some", r"noise\n\s+Input should be 'budget', 'certified' or 'none'"),
        ("noise_scale", 0.0, r"noise_scale\n\s+Input should be greater than 0"),
        ("strong_convexity", -1.0, r"strong_convexity\n\s+Input should be greater than or equal"),
        ("max_neighbours", -1, r"max_neighbours\n\s+Input should be greater than or equal to 0"),
        ("sigma", 0.1, r"sigma\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(kind, key, value, text):
    with pytest.raises(ValidationError, match=text):
        kind.Settings(**{key: value})


@pytest.mark.parametrize(("name", "kind"), [("ceu", Ceu), ("idea", Idea)])
def test_are_found_by_their_names(name, kind):
    assert METHODS.get(name) is kind
    assert kind.needs_base
