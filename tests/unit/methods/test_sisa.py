"""Sisa: exact, at the cost of what a request touches, and honest about the rest."""

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sisa_toys import Served, differing, ranked, sensitive, serve, sisa, weights_of, world_of

from erase_ray import seeds
from erase_ray.errors import TrainingError
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS
from erase_ray.methods._shard_pool import SerialPool
from erase_ray.methods._sisa_plan import slices_of
from erase_ray.methods.sisa import Sisa
from tests.conftest import make_model, planted

PEOPLE = 4


def where(served):
    """Shard and slice of each user."""
    shard_U = served.model.shard_U.numpy()
    seed = seeds.derive(seeds.derive(served.world.seed, "sisa"), "slices")
    return shard_U, slices_of(shard_U, served.method.settings.slices, seed)


def someone(served, shard=None, slice_number=None):
    """The first person with sensitive rows in a shard and a slice."""
    shard_U, slice_U = where(served)
    return next(
        user
        for user in sensitive(served.name)
        if shard in (None, shard_U[user]) and slice_number in (None, slice_U[user])
    )


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "sets2sets"])
def test_is_bit_for_bit_what_training_without_the_rows_gives(name):
    served = serve(name)
    for user in list(sensitive(name))[:PEOPLE]:
        outcome, step = served.serve(user, sensitive(name)[user])
        assert outcome.status == "applied"
        assert step > 0
    scratch = served.scratch()
    assert differing(served.model.state_dict(), scratch.model.state_dict()) == []
    assert differing(served.state, scratch.state) == ["served"]
    assert np.array_equal(ranked(served), ranked(scratch))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("bpr", {"aggregation": "learned"}),
        ("lightgcn", {"aggregation": "learned"}),
        ("sets2sets", {"aggregation": "learned"}),
        ("bpr", {"aggregation": "owner"}),
        ("bpr", {"shards": 1}),
        ("bpr", {"slices": 1}),
        ("sets2sets", {"shards": 7, "slices": 20}),
    ],
)
def test_is_exact_whatever_the_settings(name, settings):
    served = serve(name, **settings)
    for user in list(sensitive(name))[:2]:
        served.serve(user, sensitive(name)[user])
    scratch = served.scratch()
    assert differing(served.model.state_dict(), scratch.model.state_dict()) == []


def test_is_exact_in_the_balanced_partition_that_was_made_at_first(monkeypatch):
    served = serve("bpr", partition="balanced")
    shard_U = served.model.shard_U.numpy().copy()
    assert np.ptp(np.bincount(shard_U)) <= 3
    for user in list(sensitive("bpr"))[:2]:
        served.serve(user, sensitive("bpr")[user])
    monkeypatch.setattr(Sisa, "_partition", lambda self, world: shard_U)
    scratch = served.scratch()
    assert differing(served.model.state_dict(), scratch.model.state_dict()) == []


def test_order_of_requests_leaves_no_trace():
    one, other = serve("bpr"), serve("bpr")
    people = list(sensitive("bpr"))[:3]
    for user in people:
        one.serve(user, sensitive("bpr")[user])
    for user in reversed(people):
        other.serve(user, sensitive("bpr")[user])
    assert differing(one.model.state_dict(), other.model.state_dict()) == []
    assert differing(one.state, other.state) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_trains_the_shard_of_the_person_from_his_or_her_slice_on(number):
    served = serve("bpr")
    user = someone(served, slice_number=number)
    shard = int(served.model.shard_U[user])
    before, remembered = weights_of(served.model), dict(served.state)
    outcome, _ = served.serve(user, sensitive("bpr")[user])
    changed = differing(before, weights_of(served.model))
    assert changed
    assert all(name.startswith(f"members.{shard}.") for name in changed)
    changed = [n for n in differing(remembered, served.state) if n.startswith("shard")]
    assert {n.rpartition("/")[0] for n in changed} == {
        f"shard{shard}/slice{later}" for later in range(number, 2)
    }
    assert outcome.details["num_shards_retrained"] == 1
    assert outcome.details["num_slices_retrained"] == 3 - number
    # passes of 1 over each of 1, 2 and 3 slices, of three shards; slices are about equal
    expected = sum(range(number + 1, 4)) / 18
    assert outcome.details["share_revisited"] == pytest.approx(expected, abs=0.03)


def test_counts_steps():
    served = serve("bpr", slices=1, epochs=3)
    user = someone(served)
    request = served.request(user, sensitive("bpr")[user])
    outcome, _ = attempt(served.method, served.model, request)
    left = request.after.of_users(
        np.flatnonzero(served.model.shard_U.numpy() == int(served.model.shard_U[user]))
    )
    num = int((served.world.split.of(left) == 0).sum())
    assert outcome.num_gradients == 3 * -(-num // 64)
    assert outcome.num_hvps == 0


def test_rows_that_are_in_no_example():
    served = serve("bpr")
    table, split = served.world.interactions, served.world.split
    row = table.row[split.of(table) > 0][0]
    before, remembered = weights_of(served.model), dict(served.state)
    outcome, step = served.serve(int(table.user[row]), np.array([row]))
    assert (outcome.status, outcome.reason, step) == (
        "empty",
        "none of the rows is part of a training example",
        0,
    )
    assert differing(before, weights_of(served.model)) == []
    assert differing(remembered, served.state) == []


def test_what_ran_out_of_time_is_made_up_for_by_the_next_request():
    served = serve("lightgcn")
    late = someone(served, shard=0)
    other = someone(served, shard=1)
    before, remembered = weights_of(served.model), dict(served.state)
    outcome, step = served.serve(late, sensitive("lightgcn")[late], limit_s=0)
    assert (outcome.status, outcome.reason) == ("timed_out", "0 slices were trained in time")
    assert step == 0
    assert differing(before, weights_of(served.model)) == []
    assert differing(remembered, served.state) == []
    outcome, _ = served.serve(other, sensitive("lightgcn")[other])
    assert outcome.details["num_shards_retrained"] == 2
    scratch = served.scratch()
    assert differing(served.model.state_dict(), scratch.model.state_dict()) == []
    assert np.array_equal(ranked(served), ranked(scratch))


def test_a_whole_shard_forgotten_loses_its_say():
    served = serve("bpr", slices=2)
    table = served.world.interactions
    shard_U = served.model.shard_U.numpy()
    members = np.flatnonzero(shard_U == 2)
    outcome, _ = served.serve(int(members[0]), table.row[shard_U[table.user] == 2])
    assert outcome.details["num_slices_retrained"] == 0
    assert outcome.details["num_slices_empty"] == 2
    assert outcome.details["share_revisited"] == 0
    assert served.model.weight_AS[0].tolist() == [0.5, 0.5, 0]
    assert differing(weights_of(served.model), weights_of(served.scratch().model)) == []


def test_slices_that_are_emptied_are_passed_over():
    served = serve("bpr")
    shard_U, slice_U = where(served)
    table = served.world.interactions
    is_gone_U = (shard_U == 1) & (slice_U == 1)
    outcome, _ = served.serve(int(np.flatnonzero(is_gone_U)[0]), table.row[is_gone_U[table.user]])
    assert outcome.details["num_slices_retrained"] == 1
    assert outcome.details["num_slices_empty"] == 1
    for name in ("user_embedding.weight", "item_embedding.weight"):
        one, other = (served.state[f"shard1/slice{number}/{name}"] for number in (0, 1))
        assert torch.equal(one, other)
    assert differing(weights_of(served.model), weights_of(served.scratch().model)) == []


def test_every_slice_is_trained_where_there_are_fewer_epochs_than_slices():
    served = serve("bpr", slices=5, epochs=1)
    initial = make_model("bpr", planted("cf"))
    for shard, member in enumerate(served.model.shards):
        steps = [served.state[f"shard{shard}/slice{n}/item_embedding.weight"] for n in range(4)]
        steps.append(member.item_embedding.weight.detach())
        assert not any(torch.equal(a, b) for a, b in itertools.pairwise(steps))
        assert not torch.equal(steps[0], initial.item_embedding.weight)


def test_the_graph_of_a_shard_has_the_edges_of_its_people():
    served = serve("lightgcn")
    table, split = served.world.interactions, served.world.split
    user = someone(served)
    served.serve(user, sensitive("lightgcn")[user])
    left = table.without(served.forgotten)
    train = split.of(left) == 0
    shard_U = served.model.shard_U.numpy()
    for shard, member in enumerate(served.model.shards):
        key_G, count_G = member.graph.pairs()
        own = train & (shard_U[left.user] == shard)
        expected = np.unique(left.user[own].astype(np.int64) * table.num_items + left.item[own])
        assert np.array_equal(key_G[count_G > 0].numpy(), expected)


def test_failed_training_leaves_everything_as_it_was():
    served = serve("bpr")
    user = someone(served, slice_number=2)
    shard = int(served.model.shard_U[user])
    name = f"shard{shard}/slice1/item_embedding.weight"
    served.state[name] = torch.full_like(served.state[name], float("nan"))
    before, remembered = weights_of(served.model), dict(served.state)
    outcome, _ = served.serve(user, sensitive("bpr")[user])
    assert outcome.status == "non_finite"
    assert outcome.reason.startswith("the loss of model 'bpr' is nan at epoch 2, step 0")
    assert differing(before, weights_of(served.model)) == []
    assert all(served.state[key] is value for key, value in remembered.items())


def test_training_that_fails_at_first():
    world = world_of("bpr", learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"shard \d: .*model 'bpr'"):
        Served("bpr", sisa(), world)


def test_no_training_examples_at_all():
    table = planted("cf").interactions
    with pytest.raises(TrainingError, match="'bpr' has no training examples to learn from"):
        Served("bpr", sisa(), world_of("bpr", table.without(table.row)))


def test_owner_weights_need_models_that_know_users():
    data = planted("session_based")
    with pytest.raises(TrainingError, match=r"'owner' needs .* 'gru4rec' is not; take 'mean'"):
        sisa(aggregation="owner").build(lambda: make_model("gru4rec", data))


@pytest.mark.parametrize("name", ["shards", "slices", "sample", "vector_size"])
def test_settings_are_at_least_one(name):
    with pytest.raises(ValidationError, match=rf"{name}\n\s+Input should be greater than or equal"):
        Sisa.Settings(**{name: 0})


def test_is_served_request_by_request_without_a_base_model():
    assert METHODS.get("sisa") is Sisa
    assert (Sisa.needs_base, Sisa.per_mark, Sisa.serves_baselines) == (False, False, False)
    assert isinstance(Sisa(Sisa.Settings()).pool, SerialPool)


def test_any_pool_that_runs_the_jobs_will_do():
    class Backwards:
        def run(self, jobs, should_stop):
            results = [job.run(should_stop) for job in reversed(jobs)]
            return results[::-1]

    method = sisa()
    method.pool = Backwards()
    one, other = Served("bpr", method, world_of("bpr")), serve("bpr")
    assert differing(one.model.state_dict(), other.model.state_dict()) == []
