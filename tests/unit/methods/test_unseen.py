import numpy as np
import pytest
import torch
from method_toys import PairTask, UserModel, fresh, toy_request, toy_table, toy_world
from planted_toys import Case

from erase_ray import seeds
from erase_ray.data.split import Part
from erase_ray.methods._unseen import (
    Gap,
    _seen_and_unseen,
    gone,
    mean_loss,
    mean_of,
    unseen_gap,
)


@pytest.mark.parametrize("name", ["bpr", "gru4rec", "sets2sets"])
def test_seen_are_train_rows_and_unseen_are_valid_rows(name):
    case = Case(name, trained=False)
    table, marks = case.data.interactions, case.data.split.marks
    people = np.array([3, 8, 40])
    seen, unseen = _seen_and_unseen(case.request(), table.of_users(people))
    assert len(seen)
    assert set(marks[seen.rows.numpy()]) == {Part.TRAIN}
    assert set(marks[unseen.rows.numpy()]) == {Part.VALID}
    assert set(unseen.users.tolist()) == set(people.tolist())
    if name == "bpr":
        valid = table.row[(marks == Part.VALID) & np.isin(table.user, people)]
        assert unseen.rows.tolist() == valid.tolist()


def test_drawn_items_of_unseen_examples_are_none_of_the_person():
    case = Case("bpr")
    table, split = case.data.interactions, case.data.split
    own = table.of_users(np.array([3, 8, 40]))
    unseen = _seen_and_unseen(case.request(), own)[1]
    known = split.of(own) != Part.TEST
    has = set(zip(own.user[known].tolist(), own.item[known].tolist(), strict=True))
    for seed in range(20):
        batch = unseen.batch(torch.arange(len(unseen)), seed)
        pairs = zip(batch.user_B.tolist(), batch.negative_B.tolist(), strict=True)
        assert has.isdisjoint(pairs)


def test_gap_is_near_that_of_everyone():
    case = Case("bpr")
    case.model.eval()
    gap = unseen_gap(case.model, case.request(), 256, 8)
    everyone = np.setdiff1d(np.arange(case.data.interactions.num_users), case.people)
    own = case.data.interactions.of_users(everyone)
    seen, unseen = map(case.mean, _seen_and_unseen(case.request(), own))
    assert gap.seen == pytest.approx(seen, rel=0.25)
    assert gap.unseen == pytest.approx(unseen, rel=0.25)
    assert gap.rise > 0.1


@pytest.mark.parametrize(
    ("seen", "unseen", "rise"), [(1.0, 1.5, 0.5), (1.5, 1.0, 0.0), (float("nan"), 1.0, 0.0)]
)
def test_rise(seen, unseen, rise):
    assert Gap(seen, unseen).rise == rise


def test_nothing_held_out():
    table = toy_table()
    model, request = fresh(UserModel, table), toy_request(toy_world(PairTask(), table), [12, 15])
    assert unseen_gap(model, request, 20, 4).rise == 0.0


def test_mean_loss_by_hand():
    table = toy_table()
    model, world = fresh(UserModel, table), toy_world(PairTask(), table)
    everyone = torch.arange(len(world.examples))
    losses = model.loss(world.examples.batch(everyone, seeds.derive(5, "negatives", 0)))
    batches = mean_of(world.examples, 10, 5, 1)
    assert len(batches) == 11
    assert mean_loss(model, batches) == pytest.approx(losses.mean().item())
    assert np.isnan(mean_loss(model, []))
    assert mean_of(world.examples.take(torch.arange(0)), 10, 5, 1) == []


def test_gone_are_those_whose_target_went():
    """Those with a forgotten target, and those whose whole history is gone."""
    request = Case("gru4rec", trained=False).request()
    rows = set(gone(request).rows.tolist())
    assert rows == set(request.forget.rows.tolist()) - set(request.kept.rows.tolist())
    assert rows >= set(request.forget.rows.tolist()) & set(request.spec.rows.tolist())
    assert 0 < len(rows) < len(request.forget)
    request.__dict__["cleaned"] = request.forget
    assert len(gone(request)) == len(request.forget)
