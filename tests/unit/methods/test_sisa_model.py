"""Several models that answer as one, and how much each of them is believed."""

import math

import numpy as np
import pytest
import torch
from sisa_toys import world_of

from erase_ray.data.csr import Csr
from erase_ray.data.split import Part
from erase_ray.methods import _sisa_weights as weights
from erase_ray.methods._sisa_model import ensemble_of
from erase_ray.models import MODELS, Shape
from erase_ray.tasks import Queries
from erase_ray.tasks._batches import PairBatch
from tests.conftest import CPU, make_model, planted

ALL = torch.tensor([True, True])


def pair():
    """Two models of four users and three items whose scores are the entries of a table."""
    kind = MODELS.get("bpr")
    members = [kind(kind.Settings(embedding_size=1), Shape(4, 3)) for _ in range(2)]
    tables = ([0.0, math.log(2), math.log(5)], [math.log(6), math.log(3), math.log(3)])
    with torch.no_grad():
        for member, items in zip(members, tables, strict=True):
            member.user_embedding.weight.fill_(1)
            member.item_embedding.weight.copy_(torch.tensor(items)[:, None])
    ensemble = ensemble_of(members)
    ensemble.shard_U.copy_(torch.tensor([0, 0, 1, 1]))
    return ensemble


def asking(*users):
    return PairBatch(torch.tensor(users))


@torch.no_grad()
def shares(ensemble, *users):
    return ensemble.scores(asking(*users)).exp().numpy()


def test_scores_are_logarithms_of_averaged_shares():
    ensemble = pair()
    # (1, 2, 5) / 8 and (6, 3, 3) / 12
    expected = [(1 / 8 + 1 / 2) / 2, (1 / 4 + 1 / 4) / 2, (5 / 8 + 1 / 4) / 2]
    assert np.allclose(shares(ensemble, 0, 3), [expected] * 2, atol=1e-6)


def test_people_of_each_shard_have_weights_of_their_own():
    ensemble = pair()
    ensemble.weight_AS.copy_(torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    first, second = np.array([1, 2, 5]) / 8, np.array([6, 3, 3]) / 12
    expected = [first / 4 + second * 3 / 4, first]
    assert np.allclose(shares(ensemble, 2, 1), expected, atol=1e-6)


def test_shards_without_weight_are_not_asked():
    ensemble = pair()
    ensemble.weight_AS.copy_(torch.eye(2))
    seen = []
    for member in ensemble.shards:
        plain = member.scores
        member.scores = lambda batch, plain=plain: (
            seen.append(batch.user_B.tolist()) or plain(batch)
        )
    shares(ensemble, 3, 0, 2)
    assert seen == [[0], [3, 2]]


def test_goes_by_the_name_of_its_models():
    ensemble = pair()
    kind = type(ensemble.shards[0])
    assert (ensemble.name, ensemble.task, ensemble.version) == ("bpr", "cf", kind.version)
    assert type(ensemble).training == kind.training
    assert not ensemble.has_edges
    assert ensemble.learns
    assert ensemble.knows_users
    assert list(ensemble.head_parameters()) == [
        "members.0.user_embedding.weight",
        "members.1.user_embedding.weight",
    ]
    assert list(ensemble.user_tables()) == list(ensemble.head_parameters())
    assert list(ensemble.item_tables())[1] == "members.1.item_embedding.weight"
    named = dict(ensemble.named_parameters())
    assert all(named[name] is weight for name, weight in ensemble.item_tables().items())


def test_loss_is_the_mean_over_the_shards():
    ensemble = pair()
    batch = PairBatch(torch.tensor([0]), torch.tensor([1]), torch.tensor([0]))
    # gaps of the scores: log 2 - log 1 and log 3 - log 6
    expected = (math.log(1 + 1 / 2) + math.log(1 + 2)) / 2
    assert float(ensemble.loss(batch).detach()) == pytest.approx(expected, abs=1e-6)


def test_reset_draws_other_weights_for_each_shard():
    ensemble = pair()
    ensemble.reset(torch.Generator().manual_seed(0))
    one, other = (member.item_embedding.weight for member in ensemble.shards)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["gru4rec", "sets2sets"])
def test_models_that_know_no_users_have_one_row_of_weights(name):
    data = planted(MODELS.get(name).task)
    ensemble = ensemble_of([make_model(name, data) for _ in range(3)])
    assert ensemble.weight_AS.shape == (1, 3)
    assert ensemble.max_history == ensemble.shards[0].max_history
    world = world_of(name)
    queries = world.task.queries(world.interactions, world.split, Part.TEST, world.cut)
    batch = queries.inputs.inputs(torch.arange(5))
    with torch.no_grad():
        mean = torch.stack([torch.softmax(one.eval().scores(batch), 1) for one in ensemble.shards])
        assert torch.allclose(ensemble.scores(batch).exp(), mean.mean(0), atol=1e-6)


def test_edges_go_to_the_shard_of_the_person():
    kind = MODELS.get("lightgcn")
    ensemble = ensemble_of([kind(kind.Settings(), Shape(4, 3)) for _ in range(2)])
    ensemble.shard_U.copy_(torch.tensor([0, 1, 1, 0]))
    assert ensemble.has_edges
    ensemble.set_edges(torch.tensor([0, 1, 2, 3]), torch.tensor([2, 0, 1, 1]))

    def edges():
        pairs = [member.graph.pairs() for member in ensemble.shards]
        return [key[count > 0].tolist() for key, count in pairs]

    assert edges() == [[0 * 3 + 2, 3 * 3 + 1], [1 * 3 + 0, 2 * 3 + 1]]
    ensemble.drop_edges(torch.tensor([3]), torch.tensor([1]))
    assert edges() == [[2], [3, 7]]
    ensemble.restore_edges(torch.tensor([3]), torch.tensor([1]))
    assert edges() == [[2, 10], [3, 7]]


def test_a_shard_may_have_no_edges():
    kind = MODELS.get("lightgcn")
    ensemble = ensemble_of([kind(kind.Settings(), Shape(4, 3)) for _ in range(2)])
    ensemble.reset(torch.Generator().manual_seed(0))
    ensemble.set_edges(torch.tensor([0]), torch.tensor([2]))
    ensemble.drop_edges(torch.tensor([0]), torch.tensor([2]))
    assert torch.isfinite(ensemble.scores(asking(0, 1))).all()


def test_propagates_once_while_scoring():
    kind = MODELS.get("lightgcn")
    ensemble = ensemble_of([kind(kind.Settings(), Shape(4, 3)) for _ in range(2)])
    ensemble.reset(torch.Generator().manual_seed(0))
    ensemble.set_edges(torch.tensor([0]), torch.tensor([2]))
    calls = []
    for member in ensemble.shards:
        plain = member._propagated
        member._propagated = lambda plain=plain: calls.append(1) or plain()
    with torch.no_grad(), ensemble.scoring():
        ensemble.scores(asking(0))
        ensemble.scores(asking(1))
    assert len(calls) == 2


def test_even_weights_leave_out_shards_that_learned_nothing():
    ensemble = pair()
    assert weights.even(ensemble, ALL).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert weights.even(ensemble, torch.tensor([True, False])).tolist() == [[1, 0], [1, 0]]
    assert weights.even(ensemble, ~ALL).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_owner_weights():
    ensemble = pair()
    assert weights.by_owner(ensemble, ALL).tolist() == [[1, 0], [0, 1]]
    assert weights.by_owner(ensemble, torch.tensor([False, True])).tolist() == [[0, 1], [0, 1]]


def test_mixture_by_hand():
    """Two distributions, each the only one to expect some answers: shares of the answers."""
    expected = torch.tensor([[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 2).double().log()
    weight_S = weights.mixture(expected, torch.ones(8, dtype=torch.float64))
    # one answer more is seen beforehand, half for each
    assert weight_S.tolist() == pytest.approx([6.5 / 9, 2.5 / 9], abs=1e-9)
    assert weights.mixture(expected[:0], torch.zeros(0).double()).tolist() == [0.5, 0.5]


def test_mixture_is_the_most_likely_one():
    draw = torch.Generator().manual_seed(1)
    log_share_PS = torch.randn(50, 3, generator=draw, dtype=torch.float64)
    mass_P = torch.rand(50, generator=draw, dtype=torch.float64)

    def likelihood(weight_S):
        answers = mass_P @ torch.logsumexp(log_share_PS + weight_S.log(), 1)
        return answers + weights.PRIOR / 3 * weight_S.log().sum()

    weight_S = weights.mixture(log_share_PS, mass_P)
    assert float(weight_S.sum()) == pytest.approx(1, abs=1e-9)
    assert (weight_S > 0).all()
    best = likelihood(weight_S)
    for step in torch.eye(3, dtype=torch.float64) * 0.02:
        moved = weight_S + step
        assert likelihood(moved / moved.sum()) < best


def questions(users, right):
    """Queries whose right items are listed, one a user."""
    world = world_of("bpr")
    queries = world.task.queries(world.interactions, world.split, Part.TEST, world.cut)
    inputs = queries.inputs.take(torch.arange(len(users)))
    object.__setattr__(inputs, "users", torch.tensor(users))
    owner, item = np.array([(q, item) for q, items in enumerate(right) for item in items]).T
    return Queries(inputs, Csr.of_pairs(owner, item, len(users)), Csr.empty(len(users)))


def test_learned_weights_follow_what_each_group_chose():
    """Group 0 chose what the first shard expects most, group 1 what the second does."""
    weight_AS = weights.learned(pair(), questions([0, 1, 2, 3], [[2], [2], [0], [0]]), ALL)
    assert torch.allclose(weight_AS.sum(1), torch.ones(2))
    assert weight_AS[0, 0] > 0.6
    assert weight_AS[1, 1] > 0.6


def test_a_query_counts_one_however_many_items_are_right():
    once = weights.learned(pair(), questions([0, 1], [[2], [0]]), ALL)
    often = weights.learned(pair(), questions([0, 1], [[2], [0, 1]]), ALL)
    seen = weights._answers(pair(), questions([0, 1], [[2], [0, 1]]))
    assert seen.mass_P.tolist() == [1, 0.5, 0.5]
    # item 1 is as likely by both, so half of what spoke for the second shard is gone
    assert often[0, 0] > once[0, 0]


def test_learned_weights_without_answers_or_shards():
    none = questions([0], [[1]])
    none = Queries(none.inputs.take(torch.arange(0)), Csr.empty(0), Csr.empty(0))
    assert weights.learned(pair(), none, ALL).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    some = questions([0, 2], [[0], [0]])
    assert weights.learned(pair(), some, torch.tensor([True, False])).tolist() == [[1, 0], [1, 0]]
    assert weights.learned(pair(), some, ~ALL).tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_learned_weights_keep_the_mode_of_the_models():
    ensemble = pair()
    ensemble.train()
    weights.learned(ensemble, questions([0], [[0]]), ALL)
    assert all(module.training for module in ensemble.modules())


def test_held_out_are_validation_rows_that_are_left_of_the_same_people():
    world = world_of("bpr")
    table, split = world.interactions, world.split
    before = weights.held_out(world, np.zeros(0, np.int64), 30, seed=4)
    people = set(before.users.tolist())
    assert len(people) == 30
    valid = table.row[split.select(table, Part.VALID)]
    gone = valid[table.user[valid] == before.users[3]]
    after = weights.held_out(world, gone, 30, seed=4)
    assert set(after.users.tolist()) == people - {before.users[3]}
    assert set(after.inputs.rows.tolist()) <= set(valid.tolist())
    assert set(weights.held_out(world, gone, 30, seed=5).users.tolist()) != set(
        after.users.tolist()
    )
    assert world.cut.device == CPU
