"""The main job on the smoke grid: killed, started again, and compared with the serial twin."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import run_serial

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
GRID = ROOT / "jobs" / "grids" / "smoke.yaml"
SHORT = ["training.epochs=2"]


def job(storage, *more, **environment) -> subprocess.Popen:
    command = [sys.executable, "jobs/full_grid.py", "--profile", "smoke", "--set", *SHORT]
    return subprocess.Popen(
        [*command, "--storage", str(storage), *more],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": "local"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(process, storage, num_cells) -> set[str]:
    """Kill the driver once so many cells are committed; their keys."""
    end = time.monotonic() + 120
    while len(manifests(storage)) < num_cells:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return set(manifests(storage))


def manifests(storage) -> dict[str, int]:
    """When each committed cell was written, in nanoseconds, by key."""
    found = Path(storage).glob("cells/*/*/manifest.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def settled(storage) -> dict[str, int]:
    """The manifests once the workers of the killed driver are gone, two seconds without news."""
    before, since = manifests(storage), time.monotonic()
    while time.monotonic() - since < 2:
        time.sleep(0.1)
        now = manifests(storage)
        if now != before:
            before, since = now, time.monotonic()
    return before


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Stores of an unbroken serial run and of a killed and resumed one, and what was printed."""
    folder = tmp_path_factory.mktemp("stores")
    serial = Store(str(folder / "serial"))
    walk = run_serial(build(load_cells(GRID, "", SHORT), serial), serial.uri, run_node)
    assert walk.failures == {}
    broken = folder / "broken"
    kill_after(job(broken), broken, 5)
    early = settled(broken)
    resumed = job(broken)
    outputs = resumed.communicate(timeout=200)
    return serial, Store(str(broken)), early, manifests(broken), resumed.returncode, outputs


def test_resumed_run_succeeds_and_repeats_no_finished_cell(runs):
    _, broken, early, late, code, (out, err) = runs
    assert code == 0, err
    assert 5 <= len(early) < len(late) == 24
    assert {key: late[key] for key in early} == early
    assert f"{len(late) - 3} cells: " in out
    assert "report/index.html" in out
    name = build(load_cells(GRID, "", SHORT)).hash[:12]
    assert '"state": "done"' in broken.get_run(name, "status.json")
    assert broken.get_run(name, "report/index.html").startswith("<!")
    finished = [e for entry in broken.events(name) for e in entry["events"] if "label" in e]
    assert {e["event"] for e in finished} == {"finished"}


def test_results_are_byte_identical_to_an_unbroken_serial_run(runs):
    serial, broken = runs[0], runs[1]
    keys = serial.done_cells()
    assert keys == broken.done_cells()
    for key in keys:
        one, two = serial.manifest(key), broken.manifest(key)
        assert one["files"]["results.parquet"] == two["files"]["results.parquet"]
        assert one["files"]["ranked.parquet"] == two["files"]["ranked.parquet"]
        assert one["weights"] == two["weights"]
        folder = Path("cells", key[:2], key, "results.parquet")
        assert (Path(serial.uri) / folder).read_bytes() == (Path(broken.uri) / folder).read_bytes()


def test_nothing_left_to_run_does_not_touch_ray(runs):
    # at this address no Ray answers, so using it would be an error
    again = job(runs[1].uri, RAY_ADDRESS="127.0.0.1:1")
    out, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert out.splitlines()[0] == "0 cells to run"
    assert "report/index.html" in out
    assert manifests(runs[1].uri) == runs[3]
