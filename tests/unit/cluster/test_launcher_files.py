"""``aws.yaml`` and ``gcp.yaml`` through the code that ``ray up`` runs before it calls a cloud."""

import re

import jsonschema
import pytest
from cluster_files import IMAGE, ROOT, changed, loaded, text
from ray.autoscaler._private.util import prepare_config, validate_config

from erase_ray.experiment.grid import load_grid
from erase_ray.experiment.prices import known_instances

FILES = ["aws.yaml", "gcp.yaml"]
INSTANCE = {"aws.yaml": "InstanceType", "gcp.yaml": "machineType"}


@pytest.fixture(params=FILES)
def name(request):
    return request.param


@pytest.fixture
def config(name):
    return loaded(name)


def accepted(config):
    """What the launcher makes of a configuration, after Ray's schema and its own checks."""
    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


def test_the_launcher_accepts_it(config):
    prepared = accepted(config)
    assert prepared["max_workers"] == config["available_node_types"]["gpu_spot"]["max_workers"]
    assert prepared["idle_timeout_minutes"] == 5
    assert prepared["head_setup_commands"] == prepared["worker_setup_commands"] == []


@pytest.mark.parametrize(
    ("path", "to", "error", "said"),
    [
        ("available_node_types.gpu_spot.resources.GPU", "1", jsonschema.ValidationError, "'1'"),
        ("available_node_types.gpu_spot.priorty", 1, jsonschema.ValidationError, "priorty"),
        ("available_node_types.gpu_spot.min_workers", 9, ValueError, "`max_workers` is smaller"),
        ("head_node_type", "nobody", ValueError, "must be one of"),
        ("idle_timeout", 5, jsonschema.ValidationError, "idle_timeout"),
        ("docker.image", "", AssertionError, "container & image"),
    ],
)
def test_the_launcher_refuses_a_broken_copy(config, path, to, error, said):
    with pytest.raises(error, match=re.escape(said)):
        accepted(changed(config, path, to))


def test_a_head_for_the_driver_alone(config):
    prepared = accepted(config)
    head = prepared["available_node_types"][prepared["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert head["min_workers"] == head["max_workers"] == 0
    (start,) = [line for line in prepared["head_start_ray_commands"] if "ray start" in line]
    assert {"--num-cpus=0", "--num-gpus=0", "--dashboard-host=127.0.0.1"} <= set(start.split())


def test_spot_before_full_price_and_both_from_zero(config):
    kinds = accepted(config)["available_node_types"]
    spot, full = kinds["gpu_spot"], kinds["gpu_on_demand"]
    assert spot["priority"] > full["priority"]
    assert spot["min_workers"] == full["min_workers"] == 0
    assert 0 < full["max_workers"] < spot["max_workers"]
    assert spot["resources"] == full["resources"]


def test_only_the_spot_type_is_spot():
    aws = {k: v["node_config"] for k, v in loaded("aws.yaml")["available_node_types"].items()}
    gcp = {k: v["node_config"] for k, v in loaded("gcp.yaml")["available_node_types"].items()}
    assert [k for k, v in aws.items() if "InstanceMarketOptions" in v] == ["gpu_spot"]
    models = {k: v.get("scheduling", {}).get("provisioningModel") for k, v in gcp.items()}
    assert models == {"head": None, "gpu_spot": "SPOT", "gpu_on_demand": None}
    # Google refuses machines with a GPU that would be moved
    assert gcp["gpu_on_demand"]["scheduling"]["onHostMaintenance"] == "TERMINATE"


def test_every_ray_process_asks_for_the_token(config):
    prepared = accepted(config)
    for side in ("head", "worker"):
        start = [c for c in prepared[f"{side}_start_ray_commands"] if "ray start" in c]
        assert len(start) == 1
        assert "RAY_AUTH_MODE=token ray start" in start[0]
    assert prepared["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}


def test_roles_and_no_keys(name):
    content = text(name)
    assert not re.search(r"AKIA|secret|password|private_key|credentials:|access_key", content)
    kinds = loaded(name)["available_node_types"]
    field = {"aws.yaml": "IamInstanceProfile", "gcp.yaml": "serviceAccounts"}[name]
    worker = kinds["gpu_spot"]["node_config"][field]
    assert worker == kinds["gpu_on_demand"]["node_config"][field]
    assert worker != kinds["head"]["node_config"].get(field)


def test_the_image_of_the_documents(config):
    assert config["docker"]["image"] == IMAGE


def test_machines_are_those_of_the_price_table(name, config):
    for kind in ("gpu_spot", "gpu_on_demand"):
        node = config["available_node_types"][kind]
        instance = known_instances()[node["node_config"][INSTANCE[name]]]
        assert node["resources"]["CPU"] == instance.cpus
        assert node["resources"]["GPU"] == instance.gpus
        # the rest is for the system and for Ray
        assert 0.85 <= node["resources"]["memory"] / 1e9 / instance.memory_gb <= 0.95


def test_the_page_names_the_machines_that_this_file_starts(name, config):
    spot = config["available_node_types"]["gpu_spot"]
    kind = spot["node_config"][INSTANCE[name]]
    named = f"--set machine.instance={kind} --set machine.count={spot['max_workers']}"
    assert named in text("README.md")
    changes = named.split()[1::2]
    machine = load_grid(ROOT / "jobs" / "grids" / "full.yaml", "", changes).machine
    assert (machine.instance, machine.count) == (kind, spot["max_workers"])
    assert machine.gpus == spot["resources"]["GPU"] * spot["max_workers"]
