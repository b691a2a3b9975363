from contextlib import nullcontext

import numpy as np
import pytest
import torch
from method_toys import (
    TABLE,
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    fit,
    fresh,
    mean_loss,
    pairs,
    toy_request,
    toy_table,
    toy_world,
    weights,
)
from pydantic import ValidationError
from torch import nn

from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods._fresh import (
    MOST_FRESH,
    Scope,
    fresh_values,
    item_rows,
    put_fresh,
    scopes,
    smallest,
)
from erase_ray.methods._repair import Pool
from erase_ray.methods._subspace import Subspace, subspace
from erase_ray.methods.kookmin import Kookmin, score, step_factors
from erase_ray.models import Shape
from erase_ray.models.bpr import Bpr
from erase_ray.models.gru4rec import Gru4Rec


def kookmin(**settings) -> Kookmin:
    return Kookmin(Kookmin.Settings(**settings))


def steps(rows=(12, 15), **options):
    return fresh(StepModel, TABLE), toy_request(toy_world(StepTask(), TABLE), rows, **options)


def tensor_scope(values, rows=None, share=1.0):
    weight = nn.Parameter(torch.as_tensor(values, dtype=torch.float64))
    about = None if rows is None else torch.tensor(rows)
    return Subspace({"w": weight}, {}), {"w": Scope(weight, about, share)}


def test_smallest_scores_are_chosen_but_no_zeros_and_ties_go_to_the_earlier():
    space, about = tensor_scope(torch.zeros(6))
    scores = torch.tensor([0.0, 0.3, -0.1, 0.0, 0.1, 2.0])
    # four entries are in question
    for rate, expected in ((0.25, [2]), (0.5, [2, 4]), (0.75, [2, 4, 1]), (9.0, [2, 4, 1, 5])):
        assert smallest(space, scores, about, rate, 0)["w"].tolist() == expected
    assert smallest(space, torch.zeros(6), about, 1.0, 0)["w"].tolist() == []


def test_how_many_goes_with_the_share_that_is_forgotten():
    space, _ = tensor_scope(torch.zeros(100))
    scores = torch.arange(1.0, 101.0)
    for share, number in ((0.0, 0), (0.25, 50), (0.5, 100), (1.0, 100)):
        about = {"w": Scope(space.named["w"], None, share)}
        assert len(smallest(space, scores, about, 2.0, 0)["w"]) == number


def test_parts_of_an_entry_count_with_that_probability():
    space, about = tensor_scope(torch.zeros(10))
    scores = torch.arange(1.0, 11.0)
    numbers = [len(smallest(space, scores, about, 0.125, seed)["w"]) for seed in range(400)]
    assert set(numbers) == {1, 2}
    # 1.25 on average; five standard errors
    assert abs(np.mean(numbers) - 1.25) < 5 * 0.433 / 20


def test_only_rows_of_the_request_are_in_question():
    space, about = tensor_scope(torch.zeros(3, 2), rows=[1])
    scores = torch.arange(6.0, 0.0, -1.0)
    assert smallest(space, scores, about, 1.0, 0)["w"].tolist() == [3, 2]


def test_rows_of_narrowed_tables():
    table, gate = nn.Parameter(torch.zeros(6, 2)), nn.Parameter(torch.zeros(3, 3))
    named: dict[str, torch.Tensor] = {"table": torch.zeros(2, 2), "gate": torch.zeros(4)}
    space = Subspace(named, {"table": torch.tensor([1, 4]), "gate": torch.tensor([0, 4, 5, 8])})
    four, one = torch.tensor([4]), torch.tensor([1])
    assert Scope(table, four, 1.0).entries(space, "table").tolist() == [2, 3]
    # places 4 and 5 of the flat table are its row 1
    assert Scope(gate, one, 1.0).entries(space, "gate").tolist() == [1, 2]


def test_fresh_values_are_drawn_by_the_place_in_the_whole_tensor():
    fresh_ones = {"w": torch.arange(1.0, 51.0)}
    whole, _ = tensor_scope(torch.zeros(6, 2))
    leaf = torch.zeros(2, 2, dtype=torch.float64)
    narrow = Subspace({"w": leaf}, {"w": torch.tensor([1, 4])})
    put_fresh(whole, {"w": torch.tensor([2, 9])}, fresh_ones, 3)
    put_fresh(narrow, {"w": torch.tensor([0, 3])}, fresh_ones, 3)
    table = whole.named["w"].detach()
    assert torch.equal(table[[1, 4]], leaf)
    assert (table != 0).sum() == 2
    assert len(set(leaf.flatten().tolist())) == 3


def test_fresh_values_have_the_distribution_of_a_fresh_model():
    model = Gru4Rec(Gru4Rec.Settings(embedding_size=32, hidden_size=16), Shape(1, 300))
    for weight in model.parameters():
        nn.init.constant_(weight, 7.0)
    found = fresh_values(model, 0)
    table, bias = found["item_embedding.weight"], found["dense.bias"]
    assert len(table) == MOST_FRESH
    assert len(bias) == 32
    assert table.std().item() == pytest.approx((2 / 332) ** 0.5, rel=0.05)
    assert bias.abs().max() <= 0.25
    assert all((weight == 7).all() for weight in model.parameters())


def test_shares_of_the_data_that_a_request_forgets():
    model, request = pairs()
    about = scopes(model, request, item_rows(TABLE))
    assert about["user"].rows is request.users
    assert about["user"].share == 2 / 9
    assert about["item"].rows is request.items
    assert about["item"].share == 2 / 108
    model, request = steps()
    theirs = np.isin(TABLE.item, TABLE.item[[12, 15]]).sum()
    about = scopes(model, request, item_rows(TABLE))
    assert about["item"].share == 2 / theirs
    assert about["item"].rows is request.items
    for name in ("before", "bias"):
        assert about[name].rows is None
        assert about[name].share == 2 / 108


def test_score_is_the_mean_gradient_of_what_remains_minus_that_of_what_is_forgotten():
    """Losses that are linear in one weight: 2 and 4 to forget, 1 kept, 3 and 11 of others."""
    model, request = pairs()
    slopes = {"forget": [2.0, 4.0], "kept": [1.0], "retain": [3.0, 11.0]}
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    model.loss = lambda slope_B: torch.tensor(slope_B).double() * weight

    class Slopes:
        draws_negatives = False

        def __init__(self, name):
            self.slopes, self.rows = slopes[name], torch.zeros(len(slopes[name]))

        def __len__(self):
            return len(self.slopes)

        def batch(self, index, seed):
            return [self.slopes[i] for i in index.tolist()]

    request.__dict__["forget"] = Slopes("forget")
    pools = [type("Pool", (), {"examples": Slopes(name)}) for name in ("kept", "retain")]
    for size in (1, 2, 10):
        forgotten, remaining = kookmin(batch_size=size)._scored(request, pools)
        found = score(model, request, Subspace({"w": weight}, {}), forgotten, remaining)
        assert found.item() == pytest.approx((1 + 3 + 11) / 3 - (2 + 4) / 2, abs=1e-12)


def test_step_factors_by_hand():
    table, dense = nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(2))
    space = Subspace({"table": table, "dense": dense}, {})
    about = {"table": Scope(table, torch.tensor([1]), 1.0), "dense": Scope(dense, None, 1.0)}
    chosen = {"table": torch.tensor([3]), "dense": torch.tensor([0])}
    factors = step_factors(space, about, chosen, 0.25)
    assert factors["table"].tolist() == [[0, 0], [0.25, 1], [0, 0]]
    assert factors["dense"].tolist() == [1, 0.25]


@pytest.mark.parametrize("make", [pairs, steps])
def test_rows_of_others_stay_as_they_are(make):
    model, request = make()
    before = weights(model)
    outcome = kookmin(init_rate=1.0).forget(model, request)
    assert outcome.status == "applied"
    tables = {"user": request.users, "item": request.items}
    for name in tables.keys() & before.keys():
        changed = torch.nonzero((model.get_parameter(name) != before[name]).any(1)).flatten()
        assert set(changed.tolist()) <= set(tables[name].tolist())
    rows = request.users if make is pairs else request.items
    table, old = (model.user, before["user"]) if make is pairs else (model.item, before["item"])
    assert (table[rows] != old[rows]).all()
    assert all(weight.grad is None for weight in model.parameters())


def test_reset_weights_take_big_steps_and_the_others_of_the_request_small_ones():
    model, request = pairs()
    before = weights(model)["user"][1]
    settings = {"init_rate": 0.0, "learning_rate": 0.5, "low_rate": 1e-3, "min_retain": 0}
    kookmin(**settings, retain_factor=0).forget(model, request)
    moved = (model.user[1] - before).abs()
    # one step of Adam is as long as its step size
    torch.testing.assert_close(moved.detach(), torch.full((3,), 1e-3).double(), rtol=1e-4, atol=0)


def test_batches_tile_as_they_like():
    found = []
    for size in (3, 100):
        model, request = pairs()
        outcome = kookmin(batch_size=size, repair_epochs=0).forget(model, request)
        assert outcome.details["num_reset"] >= 3
        found.append(weights(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("make", [pairs, steps])
def test_same_request_same_bits_with_and_without_the_state_of_the_chain(make):
    found = []
    for begins in (False, True, True):
        torch.rand(3)
        model, request = make()
        if begins:
            request.state.update(kookmin().begin(model, request.world))
        assert kookmin().forget(model, request).status == "applied"
        found.append(weights(model))
    for other in found[1:]:
        assert all(torch.equal(found[0][name], other[name]) for name in other)


def test_forgets_toward_the_retrained_loss_and_keeps_the_rest():
    table = toy_table(num_users=12, num_items=60, length=30)
    found = []
    for seed in range(10):
        model, request = pairs(rows=[30, 31, 32], table=table, seed=seed)
        world = request.world
        left = world.task.examples(request.after, world.split, world.cut)
        retrained = fresh(UserModel, table)
        fit(retrained, left, seed)
        fit(model, world.examples, seed)
        before = mean_loss(model, request.forget), mean_loss(model, left)
        assert kookmin().forget(model, request).status == "applied"
        after = mean_loss(model, request.forget), mean_loss(model, left)
        found.append([after[0] - before[0], mean_loss(retrained, request.forget) - before[0]])
        assert after[1] < 1.15 * before[1]
    rise, wanted = np.mean(found, 0)
    assert wanted > 0
    assert 0 < rise < 2 * wanted


def test_stream_of_requests_stays_bounded():
    """100 people in turn on a model that has learned."""
    table = toy_table(num_users=220, num_items=60, length=20, seed=3)
    world = toy_world(PairTask(), table)
    model = fresh(Bpr, table, embedding_size=8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    everyone = torch.arange(len(world.examples))
    for epoch in range(60):
        optimiser.zero_grad()
        model.loss(world.examples.batch(everyone, epoch)).mean().backward()
        optimiser.step()
    asks_last = world.examples.take(torch.nonzero(world.examples.users >= 200).flatten())
    before = mean_loss(model, asks_last)
    forgotten, asked = np.zeros(0, np.int64), []
    method = kookmin()
    state = method.begin(model, world)
    for user in range(100):
        rows = 20 * user + np.array([3, 11])
        request = toy_request(world, rows, forgotten, asked, seed=user)
        request.state.update(state)
        assert method.forget(model, request).status == "applied"
        forgotten, asked = np.append(forgotten, rows), [*asked, user]
    assert before < 0.5
    assert mean_loss(model, asks_last) < 1.15 * before


def test_counts_what_it_did():
    model, request = pairs()
    outcome = kookmin(retain_factor=5, min_retain=0, batch_size=5, repair_epochs=2).forget(
        model, request
    )
    assert (outcome.details["num_kept"], outcome.details["num_retain"]) == (7.0, 10.0)
    # scores: 1 batch to forget, 2 kept, 2 of others; repair: 2 passes of 4 steps
    assert outcome.num_gradients == 5 + 8
    assert 3 <= outcome.details["num_reset"] <= 4 + 6


def test_nothing_was_learned_from_it():
    model, request = pairs()
    request.__dict__["forget"] = request.forget.take(torch.arange(0))
    before = weights(model)
    outcome = kookmin().forget(model, request)
    assert outcome.status == "empty"
    assert outcome.reason == "no training example contains what is to be forgotten"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_deadline():
    model, request = pairs(limit_s=0.0)
    before = weights(model)
    outcome, step_norm = attempt(kookmin(), model, request)
    assert (outcome.status, step_norm) == ("timed_out", 0.0)
    assert outcome.reason == "0 s were over after 0 repair steps"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_gradients_that_are_not_finite():
    model, request = pairs()
    with torch.no_grad():
        model.user[1, 0] = float("nan")
    outcome, step_norm = attempt(kookmin(), model, request)
    assert (outcome.status, step_norm) == ("non_finite", 0.0)
    assert outcome.reason == "the gradient that weights are scored by is not finite"


def test_weights_that_are_not_finite_are_undone():
    model, request = pairs()
    before = weights(model)
    outcome, _ = attempt(kookmin(learning_rate=1e308, low_rate=1e308), model, request)
    assert outcome.status == "non_finite"
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_undo_knows_of_every_change():
    model, request = pairs()
    before = weights(model)
    kookmin().forget(model, request)
    assert not torch.equal(model.user, before["user"])
    request.undo.restore()
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


def test_narrowed_and_whole_tables_give_the_same_weights():
    table = toy_table(num_users=40, num_items=50, length=9)
    request = toy_request(toy_world(PairTask(), table), (12, 15))
    forgotten, remaining = kookmin()._scored(request, [Pool(request.kept)])
    read = [one.batch for one in (*forgotten, *remaining)]
    found = []
    for narrow in (True, False):
        model = fresh(Bpr, table, embedding_size=4)
        parameters = dict(model.named_parameters())
        spaces = subspace(model, parameters, read) if narrow else None
        with spaces or nullcontext(Subspace(parameters, {})) as space:
            scores = score(model, request, space, forgotten, remaining)
            about = scopes(model, request, item_rows(table))
            chosen = smallest(space, scores, about, 1.5, request.seed)
            put_fresh(space, chosen, fresh_values(model, 0), request.seed)
        assert len(space.places) == (2 if narrow else 0)
        assert len(chosen["user_embedding.weight"]) in (1, 2)
        found.append(weights(model))
    before = weights(fresh(Bpr, table, embedding_size=4))
    assert all(torch.equal(found[0][name], found[1][name]) for name in before)
    assert not torch.equal(found[0]["user_embedding.weight"], before["user_embedding.weight"])


def test_is_found_by_its_name():
    assert METHODS.get("kookmin") is Kookmin
    assert METHODS.get("kookmin").needs_base


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("init_rate", 1.5, r"init_rate\n\s+Input should be less than or equal to 1"),
        ("typical_share", 0.0, r"typical_share\n\s+Input should be greater than 0"),
        ("learning_rate", 0.0, r"learning_rate\n\s+Input should be greater than 0"),
        ("low_rate", -1.0, r"low_rate\n\s+Input should be greater than or equal to 0"),
        ("batch_size", 0, r"batch_size\n\s+Input should be greater than or equal to 1"),
        ("boost", 10, r"boost\n\s+Extra inputs are not permitted"),
    ],
)
def test_settings_out_of_range(key, value, text):
    with pytest.raises(ValidationError, match=text):
        Kookmin.Settings(**{key: value})
