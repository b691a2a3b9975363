"""A job that a user would start, and the means to break it: the harness of the chaos tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GRID = HERE / "chaos.yaml"
PATIENCE_S = 180.0
"""Nothing here should take nearly as long, even on a machine that is shared."""


class Arena:
    """One job with a store, a diary, points at which harm is done, and Ray's files of its own.

    Everything that was started in it ends with the ``with`` statement.

    Args:
        storage: Address of the store; a folder of its own by default.
        more: Environment variables of all that is started.
        arguments: Of the job.

    ``doomed`` holds what was killed, and the processes that were to end with it.
    """

    def __init__(self, storage=None, arguments=(), **more):
        # sockets of Ray lie below; their paths must be short
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
        self.hooks = self.folder / "hooks"
        for name in ("points", "reached", "go"):
            (self.hooks / name).mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        self.storage = str(storage or self.folder / "store")
        self.arguments = ["--grid", str(GRID), *arguments]
        self.id = uuid.uuid4().hex
        self.more = more
        self.jobs: list[subprocess.Popen] = []
        self._cluster = None
        self.address = "local"
        self.doomed: set[int] = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_all()
        for job in self.jobs:
            job.wait()
        if self._cluster:
            self._cluster.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        own = {
            "CHAOS_ID": self.id,
            "CHAOS_DIR": str(self.hooks),
            "CHAOS_PACE": "0",
            "CHAOS_SLOW": "0.02",
            "ERASE_RAY_LEASE_S": "4",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(HERE / "chaos_site"), str(ROOT)]),
            "RAY_ADDRESS": self.address,
            "RAY_TMPDIR": str(self.folder),
            "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "4",
            "TMPDIR": str(self.folder / "tmp"),
        }
        return os.environ | own | self.more

    def start(self, **more):
        """Start the job."""
        number = len(self.jobs)
        command = [sys.executable, "jobs/full_grid.py", *self.arguments, "--storage", self.storage]
        with (self.folder / f"job-{number}").open("w") as out:
            job = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment() | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.jobs.append(job)
        return job

    def finish(self, job=None, **more):
        """Run the job, or one that was started, to its end; its exit status."""
        job = job or self.start(**more)
        return job.wait(PATIENCE_S)

    def said(self, number=-1):
        """What a job printed."""
        return (self.folder / f"job-{range(len(self.jobs))[number]}").read_text()

    def start_cluster(self, *cpus):
        """Start Ray nodes, which jobs use from now on."""
        self.address = "local"
        self._cluster = subprocess.Popen(
            [sys.executable, str(HERE / "chaos_cluster.py"), *map(str, cpus)],
            env=self.environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.address = self._cluster.stdout.readline().strip()
        assert self.address, "no cluster"

    def add_node(self, cpus):
        """Start one node more."""
        self._cluster.stdin.write(f"{cpus}\n")
        self._cluster.stdin.flush()
        assert self._cluster.stdout.readline() == "added\n"

    def kill_cluster(self):
        """End all nodes at once, as when a room burns."""
        while found := set(self.processes()) - {job.pid for job in self.jobs}:
            for pid in found:
                self.kill(pid)
            self._cluster.poll()
        self._cluster.wait()
        self._cluster = None

    def ask(self, what, do, times=1, **at):
        """Ask for harm at a point; see ``chaos_hooks.point``. The name of the point."""
        name = f"{len(list((self.hooks / 'reached').iterdir())):02d}-{uuid.uuid4().hex[:6]}"
        text = json.dumps({"what": what, "do": do, "times": times, "at": at})
        path = self.hooks / "points" / f"{name}.json"
        path.with_suffix(".tmp").write_text(text)
        path.with_suffix(".tmp").rename(path)
        return name

    def reached(self, name):
        """Wait until somebody gets to a point; the line of the diary on it."""

        def found():
            is_over = all(job.poll() is not None for job in self.jobs)
            event = next((e for e in self.diary("reached") if e["name"] == name), None)
            assert event or not is_over, f"the job ended before: {self.said()[-3000:]}"
            return event

        return self.wait_for(found)

    def let_go(self, name):
        """Let go what is held at a point."""
        (self.hooks / "go" / name).touch()

    def wait_for(self, found, seconds=PATIENCE_S):
        """Wait until ``found()`` is something, and return that."""
        end = time.monotonic() + seconds
        while not (value := found()):
            if time.monotonic() > end:
                raise TimeoutError(self.said()[-3000:] if self.jobs else "nothing happened")
            time.sleep(0.05)
        return value

    def diary(self, *what):
        """Lines of the diary in order, all or those on some things."""
        with suppress(FileNotFoundError):
            lines = (self.hooks / "diary").read_text().splitlines()
            events = [json.loads(line) for line in lines]
            return [event for event in events if not what or event["what"] in what]
        return []

    def kill(self, pid, sign=signal.SIGKILL):
        """Send a signal to a process of this arena; False if it has ended already."""
        own = self.processes()
        if pid not in own:
            return False
        if sign == signal.SIGKILL:
            # what a node, a head or a driver leaves behind ends by itself, a little later
            is_head = pid in self.find("gcs_server")
            self.doomed |= set(self.find("worker")) if is_head else _descendants(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, sign)
            return True
        return False

    def kill_all(self):
        """End whatever was started here."""
        while found := self.processes():
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for job in self.jobs:
                job.poll()
            if self._cluster:
                self._cluster.poll()
            time.sleep(0.05)

    def gone(self, pid, seconds=PATIENCE_S):
        """Wait until a process is no more."""
        return self.wait_for(lambda: pid not in self.processes(), seconds)

    def processes(self):
        """Command of each live process of this arena, by process number."""
        found, parents = {}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    pid, state, parent = _stat(entry)
                    if state not in "ZX":
                        parents[pid] = parent
                        if self._is_own(entry):
                            found[pid] = _command(entry)
        while more := {pid for pid, parent in parents.items() if parent in found} - set(found):
            for pid in more:
                with suppress(OSError):
                    found[pid] = ""
                    found[pid] = _command(Path("/proc", str(pid)))
        return found

    def zombies(self):
        """Dead children that nobody waits for, among those of this arena."""
        own, found = set(self.processes()), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    pid, state, parent = _stat(entry)
                    if state == "Z" and parent in own:
                        found.append(pid)
        return found

    def find(self, kind):
        """Numbers of the processes of a kind: driver, worker, raylet, gcs_server."""
        if kind == "worker":
            born = {event["pid"] for event in self.diary("born") if event["who"] == "worker"}
            return sorted(born & set(self.processes()))
        name = "full_grid.py" if kind == "driver" else f"/{kind}"
        return sorted(p for p, c in self.processes().items() if any(w.endswith(name) for w in c))

    def raylet_of(self, pid):
        """The raylet whose child a worker is."""
        return _stat(Path("/proc", str(pid)))[2]

    def _is_own(self, entry):
        if self.id.encode() in (entry / "environ").read_bytes():
            return True
        # the title of a worker is written over its environment
        return any(str(self.folder) in os.readlink(entry / "fd" / number) for number in ("1", "2"))


def _descendants(pid):
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                own, _, parent = _stat(entry)
                parents[own] = parent
    found = {pid}
    while more := {own for own, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _stat(entry):
    text = (entry / "stat").read_text()
    state, parent = text.rpartition(") ")[2].split()[:2]
    return int(text.split()[0]), state, int(parent)


def _command(entry):
    return (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
