"""``ray job submit`` against a head with token authentication, as the documents say it."""

import dataclasses
import json
import uuid
import zipfile
from pathlib import Path

import pytest
import yaml
from own_head import ROOT, head
from ray._private.runtime_env.packaging import create_package

from erase_ray.experiment.store import Store

pytestmark = pytest.mark.ray

TOKEN = "of-this-test-alone-0123456789abcdef"
RUNTIME_ENV = ("--runtime-env", "cluster/runtime_env.yaml")
TINY = ["--profile", "smoke", "--only", "model=bpr,method=original", "--set", "training.epochs=1"]
WHERE = "import json, os, erase_ray; print(json.dumps([os.getcwd(), erase_ray.__file__])); 1 / 0"
LARGEST_UPLOAD = 3_000_000


@pytest.fixture(scope="module")
def cluster():
    """A head of two CPUs that asks for ``TOKEN``."""
    pytest.importorskip("aiohttp_cors", reason="the job API needs ray[default]")
    with head("--num-cpus=2", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as started:
        yield started


def test_the_main_job_runs_to_its_results(cluster, tmp_path):
    command = ["python", "jobs/full_grid.py", *TINY, "--storage", str(tmp_path)]
    first = cluster.submit(*command, options=RUNTIME_ENV)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "3/3" in first.stdout
    assert f"results: {tmp_path}" in first.stdout
    assert len(Store(str(tmp_path)).done_cells()) == 2
    assert TOKEN not in first.stdout + first.stderr


def test_a_job_imports_what_was_uploaded_and_its_failure_is_told(cluster):
    done = cluster.submit("python", "-c", WHERE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "ZeroDivisionError" in done.stdout
    folder, module = json.loads(next(x for x in done.stdout.splitlines() if x.startswith('["/')))
    assert Path(module).is_relative_to(folder)
    assert not Path(folder).is_relative_to(ROOT)


@pytest.mark.parametrize(
    ("token", "said"), [("a-wrong-one", "Invalid authentication"), (None, "Missing authentication")]
)
def test_nobody_submits_without_the_token(cluster, tmp_path, token, said):
    stranger = {k: v for k, v in cluster.environment.items() if not k.startswith("RAY_AUTH")}
    if token:
        stranger |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    # a token file of whoever runs the tests is not meant
    stranger |= {"HOME": str(tmp_path)}
    refused = dataclasses.replace(cluster, environment=stranger).submit("true")
    assert refused.returncode != 0
    assert said in refused.stderr


def upload(root, tmp_path, excludes):
    """Names in the package that ``--working-dir`` sends, and its size."""
    package = tmp_path / f"{uuid.uuid4().hex}.zip"
    create_package(str(root), package, include_gitignore=True, excludes=excludes)
    with zipfile.ZipFile(package) as file:
        return set(file.namelist()), package.stat().st_size


def test_the_upload_is_small_whatever_lies_in_the_working_folder(tmp_path):
    root = tmp_path / "clone"
    for name in (
        "runs/cells/ab",
        "runs-smoke",
        "downloads",
        ".venv/lib",
        "tests",
        "erase_ray/data",
    ):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_bytes(b"x" * 1000)
    (root / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    (root / "erase_ray/data/runs.py").touch()
    documented = yaml.safe_load((ROOT / "cluster/runtime_env.yaml").read_text())["excludes"]
    plain, _ = upload(root, tmp_path, None)
    assert plain == {".gitignore", "tests/file", "erase_ray/data/file", "erase_ray/data/runs.py"}
    less, _ = upload(root, tmp_path, documented)
    assert less == plain - {"tests/file"}


def test_the_upload_of_this_repository_has_what_a_job_needs(tmp_path):
    documented = yaml.safe_load((ROOT / "cluster/runtime_env.yaml").read_text())["excludes"]
    names, size = upload(ROOT, tmp_path, documented)
    assert {"jobs/full_grid.py", "jobs/grids/full.yaml", "erase_ray/data/runs.py"} <= names
    assert {name.split("/")[0] for name in names if "/" in name} <= {"jobs", "erase_ray"}
    assert size < LARGEST_UPLOAD
