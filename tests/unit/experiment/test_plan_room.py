"""Classes of resources, and who counts for what."""

from dataclasses import replace

import pytest
from plan_toys import node

from erase_ray.experiment.prices import Machine
from erase_ray.experiment.room import MB, Classes


def needing(key="n", **cost):
    plain = node(key)
    return replace(plain, cost=replace(plain.cost, **cost))


def cluster(**changes):
    return Machine(**({"slots": 16, "gpus": 4, "memory_gb": 64, "count": 2} | changes))


def test_each_share_of_a_gpu_has_its_own_class():
    nodes = [needing(memory_mb=mb, gpu_share=share) for mb, share in ((900, 1.0), (3000, 0.125))]
    room = Classes([*nodes, needing(memory_mb=9000, gpu_share=0.5)], cluster())
    # 16 CPUs bound the eighths: 16 x 4 GB fit; of the halves 8 x 16 GB do not, hence powers of two
    assert room.of(nodes[1]) == [{"CPU": 1, "memory": 4000 * MB, "GPU": 0.125}]
    assert room.of(needing(memory_mb=100, gpu_share=0.125)) == room.of(nodes[1])
    assert room.of(needing(memory_mb=100, gpu_share=0.5))[0]["memory"] == 1000 * MB
    assert room.slots == 16


def test_memory_that_is_not_known_is_not_reserved():
    room = Classes([node("a")], Machine(slots=2))
    assert room.of(node("a")) == [{"CPU": 1}]
    assert room.total == {"CPU": 2, "GPU": 0}


def test_shards_have_a_bundle_each():
    chain = needing(shards=3, gpu_share=0.25, memory_mb=900)
    room = Classes([chain], cluster())
    one = {"CPU": 1, "memory": 1000 * MB, "GPU": 0.25}
    assert room.of(chain) == [one] * 4
    assert room.claims(chain) == {"CPU": 4, "memory": 4000 * MB, "GPU": 1}


@pytest.mark.parametrize(("cpus", "bundles"), [(16, 4), (3, 3), (2, 1), (1, 1)])
def test_no_more_shards_than_there_is_room_for(cpus, bundles):
    chain = needing(shards=3, memory_mb=900)
    assert len(Classes([chain], cluster(slots=cpus, gpus=0)).of(chain)) == bundles


def test_training_workers_reserve_for_themselves():
    base = needing(workers=3, gpu_share=1.0, memory_mb=900)
    room = Classes([base], cluster())
    assert room.of(base) == [{"CPU": 1, "memory": 1000 * MB}]
    assert room.worker(base) == {"CPU": 1, "memory": 1000 * MB, "GPU": 1}
    assert room.claims(base) == {"CPU": 4, "memory": 4000 * MB, "GPU": 3}


@pytest.mark.parametrize(
    ("gpus", "cpus", "workers"), [(4, 16, 3), (2, 16, 2), (1, 16, 0), (0, 16, 3), (0, 3, 2)]
)
def test_no_more_workers_than_there_is_room_for(gpus, cpus, workers):
    base = needing(workers=3, gpu_share=1.0)
    room = Classes([base], cluster(gpus=gpus, slots=cpus))
    assert room.workers(base) == workers
    assert all(room.claims(base)[name] <= room.total[name] for name in room.claims(base))


def test_the_room_may_grow():
    room = Classes([node("a")], cluster(gpus=0, slots=1))
    room.resize(cluster(gpus=2, slots=8))
    assert room.total == {"CPU": 8, "GPU": 2, "memory": 64e9}
