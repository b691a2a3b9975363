"""``kuberay.yaml`` through Ray's own reading of such resources, and field by field."""

import copy
import re

import pytest
from cluster_files import IMAGE, changed, documents, text
from ray.autoscaler._private.kuberay import autoscaling_config

GIB = 2**30
# fields of ray.io/v1 that KubeRay 1.6 documents, as far as this file uses them: type or fields
QUANTITIES = {"cpu": str, "memory": str, "nvidia.com/gpu": str}
RESOURCES = {"requests": QUANTITIES, "limits": QUANTITIES}
SECRET_REF = {"valueFrom": {"secretKeyRef": {"name": str, "key": str}}}
PARAMETERS = {"num-cpus": str, "dashboard-host": str, "object-store-memory": str}
GROUP = {
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "rayStartParams": PARAMETERS,
    "template": dict,
}
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": str, "secretName": str},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {
        "version": str,
        "upscalingMode": str,
        "idleTimeoutSeconds": int,
        "resources": RESOURCES,
    },
    "gcsFaultToleranceOptions": {"redisAddress": str, "redisPassword": SECRET_REF},
    "headGroupSpec": {"serviceType": str, "rayStartParams": PARAMETERS, "template": dict},
    "workerGroupSpecs": [GROUP],
}
SPEC = {
    "entrypoint": str,
    "backoffLimit": int,
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "rayClusterSpec": CLUSTER,
}
REQUIRED = {"workerGroupSpecs": {"groupName", "minReplicas", "maxReplicas", "template"}}
CHOICES = {
    "upscalingMode": {"Default", "Aggressive", "Conservative"},
    "version": {"v1", "v2"},
    "mode": {"token", "disabled"},
}


def faults(value, expected, path="spec"):
    """Every field that is unknown, missing or of another type."""
    if isinstance(expected, list):
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [f for i, v in enumerate(value) for f in faults(v, expected[0], f"{path}.{i}")]
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return [f"{path}: no mapping"]
        found = [f"{path}.{key}: unknown" for key in value.keys() - expected.keys()]
        needed = REQUIRED.get(path.split(".")[-2], set()) if "." in path else set()
        found += [f"{path}.{key}: missing" for key in needed - value.keys()]
        known = value.keys() & expected.keys()
        return found + [
            f for k in sorted(known) for f in faults(value[k], expected[k], f"{path}.{k}")
        ]
    if type(value) is not expected:
        return [f"{path}: {value!r} is no {expected.__name__}"]
    allowed = CHOICES.get(path.split(".")[-1])
    return [f"{path}: {value!r}"] if allowed and value not in allowed else []


@pytest.fixture(scope="module")
def parts():
    """The resources of the file by kind."""
    return {document["kind"]: document for document in documents("kuberay.yaml")}


@pytest.fixture
def spec(parts):
    return copy.deepcopy(parts["RayJob"]["spec"])


def autoscaling(cluster):
    """What Ray's autoscaler reads out of the cluster that KubeRay makes of the job."""
    resource = {"metadata": {"name": "erase-ray", "namespace": "default"}, "spec": cluster}
    return autoscaling_config._derive_autoscaling_config_from_ray_cr(resource)


def test_every_field_is_one_of_kuberay(parts, spec):
    assert parts["RayJob"]["apiVersion"] == "ray.io/v1"
    assert faults(spec, SPEC) == []


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        ("rayClusterSpec.enableAutoscaling", True, "rayClusterSpec.enableAutoscaling: unknown"),
        ("backoffLimit", "3", "spec.backoffLimit: '3' is no int"),
        ("rayClusterSpec.autoscalerOptions.upscalingMode", "Slow", "upscalingMode: 'Slow'"),
        ("rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0, "num-cpus: 0 is no str"),
        ("rayClusterSpec.workerGroupSpecs.0", {"groupName": "x"}, "0.minReplicas: missing"),
    ],
)
def test_a_broken_copy_has_faults(spec, path, to, said):
    assert any(said in fault for fault in faults(changed(spec, path, to), SPEC))


def test_the_autoscaler_reads_the_groups(spec):
    config = autoscaling(spec["rayClusterSpec"])
    kinds = config["available_node_types"]
    assert list(kinds) == ["headgroup", "gpu-spot", "gpu-on-demand"]
    assert config["head_node_type"] == "headgroup"
    assert config["idle_timeout_minutes"] == 5
    assert kinds["headgroup"]["resources"] == {"CPU": 0, "memory": 12 * GIB}
    for name, most in (("gpu-spot", 8), ("gpu-on-demand", 2)):
        assert (kinds[name]["min_workers"], kinds[name]["max_workers"]) == (0, most)
        assert kinds[name]["resources"] == {"CPU": 46, "GPU": 4, "memory": 170 * GIB}
    assert config["max_workers"] == 10


@pytest.mark.parametrize(
    ("path", "to", "error"),
    [
        ("workerGroupSpecs.0.template.spec.containers.0.resources", {}, ValueError),
        ("workerGroupSpecs.0.minReplicas", "none", Exception),
        ("workerGroupSpecs.1.template.spec.containers", [], IndexError),
        ("headGroupSpec.rayStartParams.num-cpus", "few", ValueError),
    ],
)
def test_the_autoscaler_refuses_a_broken_copy(spec, path, to, error):
    with pytest.raises(error):
        autoscaling(changed(spec["rayClusterSpec"], path, to))


def test_the_job_is_the_main_job_and_is_tried_again(spec):
    assert spec["entrypoint"].startswith("python jobs/full_grid.py --profile full --storage s3://")
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    # images have no code but this: the entry point is relative to the folder they start in
    assert re.search(r"^WORKDIR /home/ray/erase_ray$", text("Dockerfile"), re.MULTILINE)


def test_versions_and_images(spec):
    cluster = spec["rayClusterSpec"]
    pinned = re.search(r"^ray==(.+)$", text("../constraints.txt"), re.MULTILINE)
    assert pinned
    assert cluster["rayVersion"] == pinned.group(1)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = [g["template"]["spec"]["containers"][0]["image"] for g in groups]
    assert images == [IMAGE] * 3


def test_gcs_survives_through_the_redis_of_the_file(parts, spec):
    options = spec["rayClusterSpec"]["gcsFaultToleranceOptions"]
    host, port = options["redisAddress"].removeprefix("redis://").split(":")
    service = parts["Service"]
    assert service["metadata"]["name"] == host
    assert service["spec"]["ports"][0]["port"] == int(port)
    template = parts["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    assert parts["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    (redis,) = template["spec"]["containers"]
    assert redis["env"][0]["valueFrom"] == options["redisPassword"]["valueFrom"]
    claim = template["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == parts["PersistentVolumeClaim"]["metadata"]["name"]


def test_secrets_are_named_made_by_hand_and_not_in_the_file(parts, spec):
    assert "Secret" not in parts
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "erase-ray-token"}
    reference = cluster["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]
    page = text("README.md")
    assert "secret generic erase-ray-token --from-literal=auth_token=" in page
    literal = f"secret generic {reference['name']} --from-literal={reference['key']}="
    assert literal in page


def test_pods_run_as_the_user_of_the_image_and_with_the_account_of_the_bucket(parts, spec):
    cluster = spec["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        assert pod["serviceAccountName"] == parts["ServiceAccount"]["metadata"]["name"]
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["runAsNonRoot"] is True
