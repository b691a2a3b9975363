"""Kills things at random while a grid runs, and starts the same command again until it is done.

    python benchmarks/chaos.py --kills 20 --seed 7
    python benchmarks/chaos.py --kills 20 --seed 7 --nodes 2 --s3

Victims: ``training``, ``request`` and ``upload`` (kill -9 of a worker in the middle of these),
``worker`` (of one at a random moment), ``pause`` (SIGSTOP of one for a few seconds), ``driver``,
and with ``--nodes`` also ``node`` (the raylet of a worker; another node joins) and ``head``
(gcs_server; a new cluster is started). Without ``--nodes`` the job starts Ray itself. With ``--s3``
the store is on an S3 server behind a proxy that answers 2 % of all requests with 503, drops 1 %
before and 1 % after they were served, and delays 2 %.

When a job has come to its end before all kills are done, another begins with an empty store. Each
is compared with the serial twin: the last line says whether all are the same to the last bit, no
cell was executed after its commit or by two at once, and no more than the work since the last
snapshot was done twice. The exit status is 1 if not.
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).parents[1] / "tests" / "ray"))

import chaos_s3
from chaos_arena import Arena
from chaos_reference import planned, reference
from chaos_verdict import Verdict, judge

from erase_ray.experiment.store import Store

POINTS = {
    "training": ("step", {}),
    "request": ("request", {}),
    "upload": ("os.rename", {"path": r"cells/.*\.parquet"}),
}
"""Where a worker ends itself with kill -9: what it is about to do, and what is asked of that."""
BUSY_S = 6.0
"""A victim is chosen at a random moment within so many seconds after work has begun."""
PAUSE_S = 3.0
WAIT_S = 30.0
"""Until a point must be reached; else another victim is chosen."""


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    draws = random.Random(arguments.seed)
    totals, verdicts, runs = Counter(), [], 0
    expected = reference()
    with _server(arguments.s3) as server:
        while sum(totals.values()) < arguments.kills:
            with _round(arguments, server, len(verdicts)) as one:
                one.break_it(draws, arguments.kills, totals)
                verdicts.append(one.verdict(expected))
                runs += len(one.arena.jobs)
            print(_line(len(verdicts), verdicts[-1]), flush=True)
    print("\nkills: " + ", ".join(f"{kind} {count}" for kind, count in sorted(totals.items())))
    is_clean = all(verdict.is_clean for verdict in verdicts)
    print(
        f"{sum(totals.values())} kills in {len(verdicts)} grids of {verdicts[0].cells} cells, "
        f"{runs} starts of the command; all as it must be: {'yes' if is_clean else 'NO'}"
    )
    return 0 if is_clean else 1


class Round:
    """One grid that is broken until it is done.

    Args:
        arena: Where it runs.
        nodes: Ray nodes that are started for it; 0 leaves that to the job.
        proxy: In front of the storage, if there is one.
        store: Opens the store, not through the proxy.
    """

    def __init__(self, arena, nodes, proxy, store) -> None:
        self.arena, self.nodes, self.proxy, self.store = arena, nodes, proxy, store
        self.kinds = [*POINTS, "worker", "pause", "driver"]
        self.kinds += ["node", "head"] if nodes else []
        if nodes:
            arena.start_cluster(*[1] * nodes)
        self.job = arena.start()

    def break_it(self, draws: random.Random, kills: int, totals: Counter) -> None:
        """Kill until the grid is done or enough was killed; then let it end."""
        while sum(totals.values()) < kills:
            kind = draws.choice(self.kinds)
            after = draws.uniform(0, BUSY_S)
            if not self._wait_for_work(after):
                break
            if self._strike(kind, draws):
                totals[kind] += 1
                print(f"  {kind}", flush=True)
            self._go_on()
        self._go_on()
        while self.job.wait() != 0:
            print(f"  ended with {self.job.returncode}: {self.arena.said()[-500:]}", flush=True)
            self.job = self.arena.start()

    def verdict(self, expected: Store) -> Verdict:
        """What became of it."""
        if not self.nodes:
            self.arena.wait_for(lambda: not self.arena.processes())
        return judge(self.arena, expected, planned(), self.store())

    def _wait_for_work(self, after: float) -> bool:
        """Until a worker of this job works, and a while longer; False if the job ends before."""
        end = None
        while self.job.poll() is None:
            if end is None and self._busy():
                end = time.monotonic() + after
            if end is not None and time.monotonic() >= end:
                return True
            time.sleep(0.05)
        return False

    def _busy(self) -> list[int]:
        """Workers that are at a cell."""
        last = {e["pid"]: e["what"] for e in self.arena.diary("begin", "end")}
        return [pid for pid in self.arena.find("worker") if last.get(pid) == "begin"]

    def _strike(self, kind: str, draws: random.Random) -> bool:
        if kind in POINTS:
            return self._wait_for_point(*POINTS[kind])
        if kind == "driver":
            self.arena.kill(self.job.pid)
            return True
        if kind == "head":
            (head,) = self.arena.find("gcs_server")
            self.arena.kill(head)
            self.job.wait()
            self.arena.kill_cluster()
            self.arena.start_cluster(*[1] * self.nodes)
            return True
        busy = self._busy()
        return bool(busy) and self._strike_worker(kind, draws.choice(busy))

    def _strike_worker(self, kind: str, pid: int) -> bool:
        if kind == "worker":
            self.arena.kill(pid)
        elif kind == "node":
            self.arena.kill(self.arena.raylet_of(pid))
            self.arena.add_node(1)
        else:
            self.arena.kill(pid, signal.SIGSTOP)
            time.sleep(PAUSE_S)
            self.arena.kill(pid, signal.SIGCONT)
        return True

    def _wait_for_point(self, what: str, at: dict[str, str]) -> bool:
        if what == "os.rename" and self.proxy:
            return self._kill_in_upload()
        name = self.arena.ask(what, "kill", **at)
        end = time.monotonic() + WAIT_S
        while self.job.poll() is None and time.monotonic() < end:
            if any(event["name"] == name for event in self.arena.diary("reached")):
                return True
            time.sleep(0.05)
        (self.arena.hooks / "points" / f"{name}.json").unlink(missing_ok=True)
        return any(event["name"] == name for event in self.arena.diary("reached"))

    def _kill_in_upload(self) -> bool:
        fault = chaos_s3.Fault("slow", method="PUT", path=chaos_s3.UPLOAD, seconds=5)
        self.proxy.faults.insert(0, fault)
        end = time.monotonic() + WAIT_S
        while self.job.poll() is None and time.monotonic() < end and fault.times:
            time.sleep(0.05)
        self.proxy.faults.remove(fault)
        pid = None if fault.times else chaos_s3.uploader(self.arena, self.proxy)
        return pid is not None and bool(self.arena.kill(pid))

    def _go_on(self) -> None:
        """Start the command again if it is no more; it may have come to its end."""
        if self.job.poll() not in (None, 0):
            self.job = self.arena.start()


@contextlib.contextmanager
def _round(arguments, server, number):
    if not server:
        with Arena() as arena:
            yield Round(arena, arguments.nodes, None, lambda: Store(arena.storage))
        return
    address = f"s3://erase-ray/round-{number}/runs"
    faults = [
        chaos_s3.Chance("status", probability=0.02, seed=arguments.seed),
        chaos_s3.Chance("drop_request", probability=0.01, seed=arguments.seed + 1),
        chaos_s3.Chance("drop_reply", probability=0.01, seed=arguments.seed + 2),
        chaos_s3.Chance("slow", probability=0.02, seed=arguments.seed + 3, seconds=1.0),
    ]
    with (
        chaos_s3.FaultyProxy(server["AWS_ENDPOINT_URL"], faults) as proxy,
        Arena(address, AWS_ENDPOINT_URL=proxy.url) as arena,
    ):
        yield Round(arena, arguments.nodes, proxy, lambda: Store(address))


@contextlib.contextmanager
def _server(is_wanted):
    if not is_wanted:
        yield {}
        return
    with chaos_s3.server() as environment:
        os.environ.update(environment)
        yield environment


def _line(number: int, verdict: Verdict) -> str:
    same = f"no: {verdict.differing}" if verdict.differing else "yes"
    return (
        f"grid {number}: {verdict.cells} cells, {verdict.executed} executions, "
        f"{len(verdict.repeated)} after their commit, {len(verdict.beside)} beside another; "
        f"{verdict.served_twice} requests served twice, from before the last snapshot: "
        f"{verdict.lost or 'none'}; identical: {same}; "
        f"left behind: {verdict.left or 'nothing'}, halves of files: {len(verdict.halves)}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill things at random while a grid runs.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--nodes", type=int, default=0, help="Ray nodes; 0: the job starts Ray")
    parser.add_argument("--s3", action="store_true", help="the store is on an S3 server")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
