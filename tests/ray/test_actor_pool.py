"""A pool of actors is the serial pool, bit by bit, whatever dies meanwhile."""

import os
import signal
from collections.abc import Sequence

import pytest
import ray
import shard_toys
from local_ray import local_ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from shard_toys import differing, jobs_of, killing, spoiled

from erase_ray.distributed import shard_pool
from erase_ray.distributed.cluster import ClusterError
from erase_ray.distributed.shard_pool import ActorPool
from erase_ray.experiment.dispatch import WORKER
from erase_ray.methods._shard_pool import SerialPool, ShardResult

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Six CPUs in name."""
    with local_ray(6):
        yield


@pytest.fixture(scope="module")
def pool():
    with ActorPool(workers=2) as pool:
        yield pool


def never() -> bool:
    return False


def assert_same(ones: Sequence[ShardResult], others: Sequence[ShardResult]) -> None:
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        facts = ("shard", "first_slice", "num_steps", "num_skipped", "is_complete", "error")
        for name in facts:
            assert getattr(one, name) == getattr(other, name)
        assert differing(one.weights, other.weights) == []


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec"])
def test_results_are_those_of_the_serial_pool(pool, name):
    jobs = jobs_of(name)
    serial = SerialPool().run(jobs, never)
    told = []
    assert_same(serial, pool.run(jobs, never, lambda number, done: told.append(number)))
    assert sorted(told) == [0, 0, 1, 1, 2, 2]
    # a request that touches two shards, one of them from its second slice on
    later = [jobs[2].after(first_of(serial[2])), jobs[0]]
    assert_same(SerialPool().run(later, never), pool.run(later, never))


def first_of(result: ShardResult) -> ShardResult:
    found = ShardResult(result.shard, 0)
    found.weights = result.weights[:1]
    return found


def test_an_actor_that_is_killed_goes_on_after_its_last_slice(pool):
    jobs = jobs_of("bpr", num_slices=3)
    serial = SerialPool().run(jobs, never)
    told, victims = [], []

    def kill_once(number, done):
        told.append(number)
        if not victims:
            seat = next(seat for seat in pool._open if seat.task and seat.task.number == number)
            victims.append(ray.get(seat.actor.where.remote())[1])
            os.kill(victims[0], signal.SIGKILL)

    assert_same(serial, pool.run(jobs, never, kill_once))
    assert sorted(told) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    pids = [ray.get(seat.actor.where.remote())[1] for seat in pool._open]
    assert victims[0] not in pids


def test_a_shard_that_always_kills_its_actor_is_given_up(monkeypatch):
    assert shard_pool.LIMITS[WORKER] == 3
    monkeypatch.setitem(shard_pool.LIMITS, WORKER, 1)
    text = "shard 0, slice 1: its worker died.*, 2 times in a row"
    with ActorPool(workers=1) as pool, pytest.raises(ClusterError, match=text):
        pool.run([killing(jobs_of("bpr")[0])], never)


def test_an_error_is_told_as_by_the_serial_pool(pool):
    bad = [spoiled(job) for job in jobs_of("bpr")]
    results = pool.run(bad, never)
    assert_same(SerialPool().run(bad, never), results)
    assert all("the loss of model 'bpr' is nan" in result.error for result in results)


def test_nothing_begins_where_time_is_up(pool):
    results = pool.run(jobs_of("bpr"), lambda: True)
    assert [(result.is_complete, result.weights) for result in results] == [(False, [])] * 3


def test_shards_end_early_where_time_is_up(pool):
    told = []
    long = jobs_of("bpr", epochs=200)
    results = pool.run(long, lambda: len(told) > 0, lambda *news: told.append(news))
    assert not any(result.is_complete for result in results)
    assert sum(len(result.weights) for result in results) == len(told) >= 1
    jobs = jobs_of("bpr")
    assert_same(SerialPool().run(jobs, never), pool.run(jobs, never))


def test_actors_sit_in_the_bundles_of_the_cell():
    group = placement_group([{"CPU": 1}] * 3)
    strategy = PlacementGroupSchedulingStrategy(group, 0, placement_group_capture_child_tasks=True)
    cell = ray.remote(shard_toys.Cell).options(scheduling_strategy=strategy).remote()
    results, groups = ray.get(cell.run.remote("bpr"))
    remove_placement_group(group)
    assert groups == [group.id.hex()] * 2
    assert_same(SerialPool().run(jobs_of("bpr"), never), results)


def test_one_bundle_means_no_actors():
    group = placement_group([{"CPU": 1}])
    strategy = PlacementGroupSchedulingStrategy(group, 0, placement_group_capture_child_tasks=True)
    cell = ray.remote(shard_toys.Cell).options(scheduling_strategy=strategy).remote()
    results, groups = ray.get(cell.run.remote("bpr"))
    remove_placement_group(group)
    assert groups == []
    assert_same(SerialPool().run(jobs_of("bpr"), never), results)
