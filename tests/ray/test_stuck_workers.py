"""Workers that do not get anywhere are ended, and their nodes go to others."""

import fake_nodes
import pytest
from local_ray import local_ray
from test_sweep import Listener, node

import erase_ray.distributed.frozen as frozen_module
import erase_ray.distributed.sweep as sweep_module
from erase_ray.distributed.sweep import sweep
from erase_ray.experiment.plan import Plan

pytestmark = pytest.mark.ray

HUNG_S, FROZEN_S = "3", 12.0


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two CPUs, whose workers give up after a few seconds without a sign of life."""
    with local_ray(2, ERASE_RAY_HUNG_S=HUNG_S):
        yield


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
