"""Cells that the sweep gives helpers: training workers for a base model, actors for shards."""

import pytest
import torch
from local_ray import local_ray

from erase_ray.distributed.sweep import sweep
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import run_serial

pytestmark = pytest.mark.ray

HELPED = Machine(slots=4, train_workers=2, train_workers_above_gb=0, shard_workers=True)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Four CPUs in name."""
    with local_ray(4):
        yield


def test_a_grid_with_helpers_ends_as_one_without(tmp_path):
    block = Block(
        datasets={"planted": {"task": "cf", "num_users": 60, "num_items": 72}},
        models={"bpr": {"embedding_size": 8}},
        training={"epochs": 2, "batch_size": 64},
        scenarios={"account": {"num_users": 4}},
        methods={"original": {}, "sisa": {"shards": 2, "slices": 2}},
        seeds=[2],
    )
    cells = expand([block])
    alone, helped = (Store(str(tmp_path / name)) for name in ("alone", "helped"))
    run_serial(build(cells, alone), alone.uri, run_node)
    walk = sweep(build(cells, helped, HELPED), helped.uri, machine=HELPED)
    assert walk.failures == {}
    original, sisa = (next(c for c in cells if c.method.name == n) for n in ("original", "sisa"))
    assert helped.manifest(original.base.key)["facts"]["workers"] == 2
    one, two = (
        store.get_weights(store.manifest(original.base.key)["weights"]["0"])
        for store in (alone, helped)
    )
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-4, atol=1e-5)
    assert helped.manifest(sisa.key)["weights"] == alone.manifest(sisa.key)["weights"]
