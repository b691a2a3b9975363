"""The main job on a head without workers: the autoscaler adds a machine, and ends it when idle."""

import json
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from own_head import head
from ray.autoscaler._private.fake_multi_node.node_provider import (
    FAKE_HEAD_NODE_ID,
    FAKE_HEAD_NODE_TYPE,
)

from erase_ray.experiment.store import Store

pytest.importorskip("aiohttp_cors", reason="the job API needs ray[default]")
pytestmark = pytest.mark.ray

TINY = ["--profile", "smoke", "--only", "model=bpr,method=original", "--set", "training.epochs=1"]
TOKEN = "of-this-test-alone-0123456789abcdef"
IDLE_MINUTES = 0.05
PATIENCE_S = 60.0
MACHINE = {"CPU": 2, "memory": 4_000_000_000, "object_store_memory": 80_000_000}
AUTOSCALING = {
    "cluster_name": "fake",
    "max_workers": 1,
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": IDLE_MINUTES,
    "provider": {
        "type": "external",
        "module": "fake_machines.FakeMachines",
        "head_node_id": FAKE_HEAD_NODE_ID,
        "launch_multiple": True,
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    # what the launcher would fill in, and no machine here is set up by
    "auth": {},
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
    "initialization_commands": [],
    "file_mounts": {},
    "cluster_synced_files": [],
    "head_node_type": FAKE_HEAD_NODE_TYPE,
    "available_node_types": {
        FAKE_HEAD_NODE_TYPE: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "machine": {"resources": MACHINE, "node_config": {}, "max_workers": 1},
    },
}


def machines(cluster) -> dict[str, str]:
    """State of every node but the head, by its id."""
    with_token = {"Authorization": f"Bearer {TOKEN}"}
    asked = urllib.request.Request(f"{cluster.jobs}/nodes?view=summary", headers=with_token)
    with urllib.request.urlopen(asked, timeout=20) as reply:
        nodes = json.load(reply)["data"]["summary"]
    raylets = [node["raylet"] for node in nodes]
    return {raylet["nodeId"]: raylet["state"] for raylet in raylets if not raylet.get("isHeadNode")}


class Watch(threading.Thread):
    """Remembers the machines that were alive while a job ran."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.alive, self.over = cluster, set(), threading.Event()

    def run(self):
        while not self.over.wait(0.2):
            now = machines(self.cluster)
            self.alive |= {node for node, state in now.items() if state == "ALIVE"}


@pytest.fixture(scope="module")
def cluster():
    """A head with no CPU of its own that may start one machine with two."""
    with head(
        "--num-cpus=0",
        autoscaling=AUTOSCALING,
        PYTHONPATH=str(Path(__file__).parent),
        AUTOSCALER_UPDATE_INTERVAL_S="1",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=TOKEN,
        RAY_FAKE_CLUSTER="1",
        RAY_enable_autoscaler_v2="1",
        RAY_CLOUD_INSTANCE_ID=FAKE_HEAD_NODE_ID,
    ) as started:
        yield started


def test_a_machine_comes_for_the_job_and_goes_after_it(cluster, tmp_path):
    assert machines(cluster) == {}
    watch = Watch(cluster)
    watch.start()
    command = ["python", "jobs/full_grid.py", *TINY, "--storage", str(tmp_path)]
    job = cluster.submit(*command, options=("--runtime-env", "cluster/runtime_env.yaml"))
    watch.over.set()
    watch.join()
    assert job.returncode == 0, job.stdout + job.stderr
    assert len(Store(str(tmp_path)).done_cells()) == 2
    assert len(watch.alive) == 1
    end = time.monotonic() + PATIENCE_S
    while "ALIVE" in machines(cluster).values():
        assert time.monotonic() < end, machines(cluster)
        time.sleep(0.2)
