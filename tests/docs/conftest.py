"""One warm process and one small store for all pages."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "docs/_hooks"), str(ROOT / "tests/browser")]
START_S = 120.0


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """Socket of a process that runs commands without importing the project anew."""
    if not hasattr(os, "pidfd_open"):
        pytest.skip("pages are run on Linux alone")
    folder = tmp_path_factory.mktemp("warm")
    # addresses of sockets are short, so it is not in a folder of pytest
    address = f"/tmp/erase-ray-docs-{os.getpid()}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "warm.py"), address],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while not os.path.exists(address):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"warm.py did not start: {(folder / 'log').read_text()}")
        time.sleep(0.1)
    yield address
    assert process.stdin
    process.stdin.close()
    process.wait(10)
    os.unlink(address)


@pytest.fixture(scope="session")
def small_store(warm, tmp_path_factory):
    """A store that pages copy with ``small-store FOLDER``."""
    folder = tmp_path_factory.mktemp("store") / "runs"
    subprocess.run(
        [sys.executable, HERE / "forward.py", "python", HERE / "small_store.py", folder],
        env=os.environ | {"DOCS_WARM": warm, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    return str(folder)
