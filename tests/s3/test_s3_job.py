"""The main job with its store on a real S3 server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import run_serial

ROOT = Path(__file__).parents[2]
CHOICE = ["task=cf,method=original|scif", "training.epochs=2"]


def job(storage: str) -> str:
    command = [sys.executable, "jobs/full_grid.py", "--profile", "smoke", "--storage", storage]
    command += ["--only", CHOICE[0], "--set", CHOICE[1]]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": "local"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    assert environment["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.ray
def test_a_grid_on_s3_equals_one_on_disk_and_is_not_repeated(s3_address, tmp_path):
    assert "bpr" in job(s3_address)
    assert job(s3_address).startswith("0 cells to run")
    cells = load_cells(ROOT / "jobs/grids/smoke.yaml", CHOICE[0], [CHOICE[1]])
    run_serial(build(cells), str(tmp_path), run_node)
    there, here = Store(s3_address, read_only=True), Store(str(tmp_path))
    assert len(cells) == 2
    for cell in cells:
        for table in ("results", "ranked"):
            name = f"{table}.parquet"
            files = [store.manifest(cell.key)["files"][name]["sha256"] for store in (there, here)]
            assert files[0] == files[1]
        assert there.manifest(cell.key)["weights"] == here.manifest(cell.key)["weights"]
