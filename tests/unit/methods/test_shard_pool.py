"""Jobs that train a shard, wherever they run."""

import pickle

import numpy as np
import pytest
import torch
from sisa_toys import differing, world_of

from erase_ray.methods._shard_pool import SerialPool
from erase_ray.methods._sisa_model import ensemble_of
from erase_ray.methods._sisa_partition import random_shards
from erase_ray.methods._sisa_shards import Shards, checkpoint, checkpoints
from tests.conftest import LEARNING, make_model, planted

NOTHING = np.zeros(0, np.int64)


def shards_of(name, num_slices=3):
    """Two shards of a model on planted data."""
    world = world_of(name)
    data = planted(world.task.name)
    ensemble = ensemble_of([make_model(name, data) for _ in range(2)])
    shard_U = random_shards(world.interactions.num_users, 2, seed=1)
    ensemble.shard_U.copy_(torch.from_numpy(shard_U))
    return Shards(ensemble, world, num_slices, epochs=2, seed=9)


@pytest.mark.parametrize("name", LEARNING)
def test_a_job_that_was_shipped_gives_the_same_weights(name):
    job = shards_of(name, 2).job(1, NOTHING)
    here, there = job.run(), pickle.loads(pickle.dumps(job)).run()
    assert here.error == there.error == ""
    assert len(here.weights) == len(there.weights) == 2
    for one, other in zip(here.weights, there.weights, strict=True):
        assert differing(one, other) == []
    assert pickle.loads(pickle.dumps(here)).num_steps == there.num_steps > 0


def test_a_job_holds_the_rows_of_its_people_alone():
    shards = shards_of("bpr")
    gone = shards.world.interactions.row[::7]
    job = shards.job(0, gone)
    table = shards.world.interactions.without(gone)
    own = shards.ensemble.shard_U.numpy()[table.user] == 0
    assert np.array_equal(job.interactions.row, table.row[own])
    assert np.array_equal(job.marks, shards.world.split.marks[table.row[own]])
    assert len(job.slices) == len(np.unique(table.user[own]))


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "dnntsp"])
def test_goes_on_from_the_weights_before_a_slice(name):
    shards = shards_of(name)
    whole = shards.job(0, NOTHING).run()
    rest = shards.job(0, NOTHING, 2, whole.weights[1]).run()
    assert differing(rest.weights[0], whole.weights[2]) == []
    assert len(rest.weights) == 1
    assert rest.first_slice == 2


def test_does_not_share_memory_with_what_it_starts_from():
    shards = shards_of("bpr")
    whole = shards.job(0, NOTHING).run()
    start = {name: tensor.clone() for name, tensor in whole.weights[0].items()}
    shards.job(0, NOTHING, 1, whole.weights[0]).run()
    assert differing(start, whole.weights[0]) == []
    pointers = {w["item_embedding.weight"].data_ptr() for w in whole.weights}
    assert len(pointers) == 3


def test_shards_begin_with_weights_of_their_own():
    shards = shards_of("bpr")
    one, other = (shards.job(shard, NOTHING)._model().state_dict() for shard in (0, 1))
    assert differing(one, other) == ["item_embedding.weight", "user_embedding.weight"]


def test_stops_before_the_next_epoch():
    # passes of 2, 1 and 1 epochs
    job = shards_of("bpr").job(0, NOTHING)
    assert job.passes == (1, 1, 1)
    answers = iter([False, False, True])
    result = job.run(lambda: next(answers))
    assert not result.is_complete
    assert len(result.weights) == 2
    assert differing(result.weights[1], job.run().weights[1]) == []


def test_an_error_is_told_not_raised():
    shards = shards_of("bpr")
    start = {
        name: torch.full_like(tensor, float("inf"))
        for name, tensor in shards.job(0, NOTHING)._model().state_dict().items()
    }
    result = shards.job(0, NOTHING, 1, start).run()
    assert result.error.startswith("the loss of model 'bpr' is nan")
    assert result.weights == []


def test_a_serial_pool_keeps_the_order_of_the_jobs():
    shards = shards_of("bpr")
    jobs = [shards.job(shard, NOTHING) for shard in (1, 0)]
    assert [result.shard for result in SerialPool().run(jobs, lambda: False)] == [1, 0]
    late = SerialPool().run(jobs, lambda: True)
    assert [(result.is_complete, result.weights) for result in late] == [(False, [])] * 2


def test_the_last_weights_of_a_shard_are_no_checkpoint():
    result = shards_of("bpr").job(1, NOTHING).run()
    state = checkpoints(result)
    assert {name.rpartition("/")[0] for name in state} == {"shard1/slice0", "shard1/slice1"}
    assert checkpoint(state, 1, 0) is None
    assert differing(checkpoint(state, 1, 2), result.weights[1]) == []
    with pytest.raises(AssertionError, match="lacks the weights of shard 1 before slice 3"):
        checkpoint(state, 1, 3)


def test_contents_show_which_slice_lost_an_example():
    shards = shards_of("bpr")
    digest_R, count_R = shards.contents(0, NOTHING)
    table = shards.world.interactions
    user = shards.people(0)[4]
    row = table.row[(table.user == user) & (shards.world.split.of(table) == 0)][:1]
    digest_after_R, count_after_R = shards.contents(0, row)
    changed = torch.nonzero(digest_R != digest_after_R).flatten().tolist()
    assert changed == [int(shards._slice_U[user])]
    assert (count_R - count_after_R).tolist() == [int(n == changed[0]) for n in range(3)]
    again, _ = shards.contents(1, row)
    assert torch.equal(again, shards.contents(1, NOTHING)[0])


def test_contents_show_a_shorter_history():
    """A session that lost an item in the middle has examples that were not there before."""
    shards = shards_of("gru4rec")
    table = shards.world.interactions
    first = table.row[np.isin(table.user, shards.people(0))][:1]
    digest_R, _ = shards.contents(0, NOTHING)
    assert not torch.equal(digest_R, shards.contents(0, first)[0])


def test_a_model_is_prepared_for_the_examples_of_each_slice():
    """Sets2sets weighs items by how often they stand in the histories of slices 0 to r."""
    shards = shards_of("sets2sets")
    world, people = shards.world, shards.people(0)
    result = shards.job(0, NOTHING).run()
    for number, weights in enumerate(result.weights):
        own = world.interactions.of_users(people[shards._slice_U[people] <= number])
        model = make_model("sets2sets", planted("next_basket"))
        model.prepare(world.task.examples(own, world.split, world.cut))
        assert torch.equal(weights["item_weights_I"], model.item_weights_I)
    assert differing({"w": result.weights[0]["item_weights_I"]}, {"w": model.item_weights_I})
