"""A worker dies inside a chain: its successor goes on from the journal."""

from pathlib import Path

import pandas as pd
import pytest
from fake_chain import LOST_AT, served
from local_ray import local_ray

from erase_ray.distributed.sweep import sweep
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import run_serial

pytestmark = pytest.mark.ray


@pytest.fixture
def cluster():
    """One CPU."""
    with local_ray(1):
        yield


def test_the_next_worker_goes_on_inside_the_chain(cluster, tmp_path):
    block = Block(
        datasets={"planted": {"task": "cf", "num_users": 60, "num_items": 72}},
        models={"bpr": {"embedding_size": 8}},
        training={"epochs": 1, "batch_size": 64},
        scenarios={"account": {"num_users": 9}},
        methods={"scif": {"num_retain": 16}},
        seeds=[2],
    )
    (cell,) = expand([block])
    whole, broken = (Store(str(tmp_path / name)) for name in ("whole", "broken"))
    run_serial(build([cell], whole), whole.uri, run_node)
    walk = sweep(build([cell], broken), broken.uri, execute="fake_chain:run")
    assert walk.failures == {}
    numbers, workers = zip(*served(broken.uri), strict=True)
    assert numbers == tuple(range(9))
    assert len(set(workers[:LOST_AT])) == len(set(workers[LOST_AT:])) == 1
    assert workers[0] != workers[-1]
    one, two = whole.manifest(cell.key), broken.manifest(cell.key)
    assert one["weights"] == two["weights"]
    for name in ("results.parquet", "ranked.parquet"):
        assert one["files"][name] == two["files"][name]
    requests = [store.table(cell.key, "requests") for store in (whole, broken)]
    kept = [name for name in requests[0] if not name.startswith("seconds")]
    pd.testing.assert_frame_equal(requests[0][kept], requests[1][kept], check_exact=True)
    folder = Path(broken.uri, "cells", cell.key[:2], cell.key)
    assert not (folder / "journal").exists()
