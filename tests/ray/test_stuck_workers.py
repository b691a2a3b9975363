"""Workers that do not get anywhere are ended, and their nodes go to others."""

import os
from pathlib import Path

import fake_nodes
import pytest
import ray
from test_sweep import Listener, node

import erase_ray.distributed.frozen as frozen_module
import erase_ray.distributed.sweep as sweep_module
from erase_ray.distributed.sweep import sweep
from erase_ray.experiment.plan import Plan

pytestmark = pytest.mark.ray

HUNG_S, FROZEN_S = "3", 12.0


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Ray with two CPUs, whose workers give up after a few seconds without a sign of life."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    patch.setenv("ERASE_RAY_HUNG_S", HUNG_S)
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
    )
    yield
    ray.shutdown()
    patch.undo()


@pytest.mark.parametrize("stuck", ["hangs", "frozen"])
def test_it_is_run_elsewhere(stuck, tmp_path, monkeypatch):
    monkeypatch.setattr(frozen_module, "FROZEN_S", FROZEN_S)
    monkeypatch.setattr(sweep_module, "MEASURE_S", 0.5)
    # its worker must have reported once: one that never did may be loading still
    nodes = [node("first"), node("bad", "first", stuck=stuck), node("child", "bad")]
    listener = Listener(tmp_path)
    walk = sweep(Plan(nodes), str(tmp_path), [listener], execute="fake_nodes:run")
    assert walk.failures == {}
    assert set(walk.done) == {"first", "bad", "child"}
    assert listener.heard.count("again bad hung") == 1
    begun = [
        pid for what, key, pid in fake_nodes.diary(tmp_path) if (what, key) == ("begin", "bad")
    ]
    assert len(set(begun)) == 2
