"""Workers that do not get anywhere are ended, and their nodes go to others."""

import fake_nodes
import pytest
from fake_nodes import STUCK
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


@pytest.fixture(scope="module")
def swept(cluster, tmp_path_factory):
    """A sweep in which two workers get stuck, each in its own way: walk, folder, listener."""
    # their workers must have reported once: one that never did may be loading still
    nodes = [node("first")]
    for stuck in STUCK:
        nodes += [node(stuck, "first", stuck=stuck), node(f"after-{stuck}", stuck)]
    folder = tmp_path_factory.mktemp("store")
    listener = Listener(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frozen_module, "FROZEN_S", FROZEN_S)
        patch.setattr(sweep_module, "MEASURE_S", 0.5)
        walk = sweep(Plan(nodes), str(folder), [listener], execute="fake_nodes:run")
    return walk, folder, listener


def test_all_is_done_in_the_end(swept):
    walk, _, _ = swept
    assert walk.failures == {}
    assert set(walk.done) == {"first", *STUCK, *(f"after-{stuck}" for stuck in STUCK)}


@pytest.mark.parametrize("stuck", STUCK)
def test_it_is_run_elsewhere(stuck, swept):
    _, folder, listener = swept
    assert listener.heard.count(f"again {stuck} hung") == 1
    begun = [pid for what, key, pid in fake_nodes.diary(folder) if (what, key) == ("begin", stuck)]
    assert len(set(begun)) == 2
