"""A Ray head of a test's own: free ports, own folder, ended by the ids of its own processes."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.free_ports import free_ports

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
MARK = "ERASE_RAY_TEST_HEAD"
"""Every process of a head carries this variable; nothing else is ever ended."""
START_S = 60.0


@dataclass(frozen=True)
class Head:
    """Where the job API of a head listens, and the environment in which its user works."""

    jobs: str
    environment: dict[str, str]

    def ray(self, *arguments: str, timeout: float = 120, **environment: str):
        """Run a ``ray`` command as its user would, in the folder of the repository."""
        return subprocess.run(
            [*RAY, *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def submit(self, *entrypoint: str, options: tuple[str, ...] = (), **environment: str):
        """``ray job submit --working-dir .``, following the log to the end."""
        fixed = ["job", "submit", "--working-dir", ".", *options, "--"]
        return self.ray(*fixed, *entrypoint, **environment)


@contextlib.contextmanager
def head(
    *options: str, autoscaling: dict[str, Any] | None = None, **environment: str
) -> Iterator[Head]:
    """A head for the length of the block; its folder is short, since sockets lie in it.

    Args:
        options: More options of ``ray start``.
        autoscaling: Configuration of the autoscaler; its provider is told the head's address.
        environment: More variables of the head and of its user.
    """
    folder = tempfile.mkdtemp(prefix="eh", dir="/tmp")
    mark = uuid.uuid4().hex
    own = _own_environment(folder, mark) | environment
    gcs, jobs, *rest = free_ports(6)
    process = None
    if autoscaling:
        provider = autoscaling["provider"] | {"gcs_address": f"127.0.0.1:{gcs}"}
        Path(folder, "autoscaling").write_text(json.dumps(autoscaling | {"provider": provider}))
        options += (f"--autoscaling-config={folder}/autoscaling",)
    try:
        with open(f"{folder}/out", "w") as out:
            process = subprocess.Popen(
                [*RAY, "start", *_start_options(folder, gcs, jobs, rest), *options],
                env=own,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        user = own | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{jobs}"}
        user.pop(MARK)
        _wait_for(process, jobs, Path(folder, "out"))
        yield Head(f"http://127.0.0.1:{jobs}", user)
    finally:
        _end(process, mark)
        shutil.rmtree(folder, ignore_errors=True)


def _own_environment(folder: str, mark: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    paths = [str(Path(sys.executable).parent), kept.get("PATH", "")]
    return kept | {
        MARK: mark,
        "PATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _start_options(folder: str, gcs: int, jobs: int, rest: list[int]) -> list[str]:
    client, agent, agent_grpc, metrics = rest
    return [
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--temp-dir={folder}",
        f"--port={gcs}",
        f"--dashboard-port={jobs}",
        f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={agent}",
        f"--dashboard-agent-grpc-port={agent_grpc}",
        f"--metrics-export-port={metrics}",
        "--object-store-memory=100000000",
    ]


def _wait_for(process: subprocess.Popen, port: int, out: Path) -> None:
    """Until the job API answers anything at all, be it 401."""
    end = time.monotonic() + START_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the head did not start: {out.read_text()[-3000:]}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(b"GET /api/version HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return sock.recv(5) == b"HTTP/"
    except OSError:
        return False


def _end(process: subprocess.Popen | None, mark: str) -> None:
    """End the head in good order, then whatever of it is left."""
    if process is not None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
    end = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    if process is not None:
        process.wait(10)


def marked(mark: str) -> list[int]:
    """Processes, but for those that are dead and not yet collected, that carry ``mark``."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found
