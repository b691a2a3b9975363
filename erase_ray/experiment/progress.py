"""How far a walk is: a line for the eye, and status and events for the store."""

import json
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from erase_ray.errors import StoreError
from erase_ray.experiment.node_facts import expected, plan_json
from erase_ray.experiment.plan import Node
from erase_ray.experiment.plan_text import duration
from erase_ray.experiment.walk import Facts, Walk, Watcher

logger = logging.getLogger(__name__)

EVERY_S = 10.0
"""Between two plain lines, and between two writes to the store."""
ALIVE_S = 60.0
"""Between two events, if nothing happens."""
REDRAW_S = 0.5
PRIOR_S = 20.0
"""The estimates of the plan weigh as much as so many seconds of measurements."""
LONGEST = 3
"""Labels of running nodes that are shown."""


class RunLog(Protocol):
    """What progress asks of a store."""

    def put_run(self, run: str, name: str, content: str) -> None:
        """Write a file of a run."""
        ...

    def append_event(self, run: str, writer: str, event: dict[str, Any]) -> None:
        """Add to the events of a run."""
        ...


def _columns() -> int:
    return shutil.get_terminal_size().columns


class TimeLeft:
    """Guesses the time left from the estimates of the plan, scaled by what was measured."""

    def __init__(self, walk: Walk, slots: int, clock: Callable[[], float]) -> None:
        self._walk, self._slots, self._clock = walk, slots, clock
        self._expected = self._measured = 0.0
        self._left = sum(node.cost.seconds for node in walk.plan.pending())

    def settled(self, key: str, seconds: float | None) -> None:
        """A node is over; ``seconds`` is how long it took, None if it was not run to its end."""
        expected = self._walk.plan.nodes[key].cost.seconds
        self._left -= expected
        if seconds is not None:
            self._expected += expected
            self._measured += seconds

    def seconds(self) -> float:
        """The larger of: all that is left, shared by the slots; the longest chain that runs."""
        scale = (self._measured + PRIOR_S) / (self._expected + PRIOR_S)
        now, plan = self._clock(), self._walk.plan
        gone = {key: now - started for key, started in self._walk.running.items()}
        spent = sum(min(g, scale * plan.nodes[key].cost.seconds) for key, g in gone.items())
        chains = [scale * plan.remaining_path(key) - g for key, g in gone.items()]
        shared = (scale * self._left - spent) / self._slots
        return max(0.0, shared, *chains)


class LiveLine(Watcher):
    """One line that is drawn over and over on a terminal, and now and then elsewhere."""

    def __init__(
        self,
        slots: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._width = 0

    def begin(self, walk: Walk) -> None:
        """Take note of the time; on a terminal, show the first line."""
        self._walk = walk
        self._started = self._shown = self._clock()
        self._time_left = TimeLeft(walk, self._slots, self._clock)
        if self._live:
            self._show()

    def finished(self, node: Node, facts: Facts) -> None:
        """Say so, with the seconds."""
        seconds = facts.get("seconds")
        self._time_left.settled(node.key, seconds)
        took = "" if seconds is None else f" in {seconds:.1f} s"
        self._say(f"done {node.label}{took}")

    def failed(self, node: Node, error: str, trace: str) -> None:
        """Say so, with the reason and how much hangs on it."""
        self._time_left.settled(node.key, None)
        blocked = [key for key, cause in self._walk.blocked.items() if cause == node.key]
        for key in blocked:
            self._time_left.settled(key, None)
        more = f" ({len(blocked)} nodes that need it are left out)" if blocked else ""
        self._say(f"FAILED {node.label}: {error}{more}")

    def again(self, node: Node, kind: str, error: str, trace: str) -> None:
        """Say so, with the reason."""
        self._say(f"again {node.label}: {error}")

    def tick(self) -> None:
        """Redraw, if it is time to."""
        if self._clock() - self._shown >= (REDRAW_S if self._live else EVERY_S):
            self._show()

    def end(self) -> None:
        """Show the last line and go to the next."""
        self._show()
        if self._live:
            self._stream.write("\n")
            self._stream.flush()

    def text(self) -> str:
        """The line: done, running, left, what runs, time gone and time left."""
        walk = self._walk
        labels = [walk.plan.nodes[key].label for key in list(walk.running)[:LONGEST]]
        more = "" if len(walk.running) <= LONGEST else ", ..."
        bad = f", {len(walk.failures)} failed" if walk.failures else ""
        bad += f", {len(walk.blocked)} blocked" if walk.blocked else ""
        gone = duration(self._clock() - self._started)
        left = duration(self._time_left.seconds())
        return (
            f"[{len(walk.done)}/{walk.total}] {len(walk.running)} running, {walk.left} left{bad} | "
            f"{gone} gone, about {left} left | {', '.join(labels) or '-'}{more}"
        )

    def _show(self) -> None:
        self._shown = self._clock()
        if not self._live:
            self._stream.write(self.text() + "\n")
        else:
            line = self.text()[: _columns() - 1]
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        self._stream.flush()

    def _say(self, line: str) -> None:
        if self._live:
            self._stream.write("\r" + " " * self._width + "\r" + line + "\n")
            self._width = 0
            self._show()
        else:
            self._stream.write(f"[{len(self._walk.done)}/{self._walk.total}] {line}\n")
            self._stream.flush()


class StoredStatus(Watcher):
    """Writes ``status.json`` and events of a run into the store, about every ten seconds.

    While nothing happens, an event ``alive`` is added every minute, so that it can be told for how
    long there was a driver, however it ended.
    """

    def __init__(
        self, store: RunLog, run: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._run, self._clock = store, run, clock
        self._writer = f"driver-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        self._driver = {"host": socket.gethostname(), "pid": os.getpid(), "started": _now()}
        self._events: list[dict[str, Any]] = []
        self._running: dict[str, dict[str, Any]] = {}
        self._since: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._told = self._clock()

    def begin(self, walk: Walk) -> None:
        """Write plan and status."""
        self._walk = walk
        self._store.put_run(self._run, "plan.json", plan_json(walk.plan))
        self._events.append({"event": "begin", "host": socket.gethostname(), "pid": os.getpid()})
        self._write("running")

    def started(self, node: Node) -> None:
        """Take note of the time."""
        self._since[node.key] = self._clock()
        self._running[node.key] = {"key": node.key, "label": node.label, "started": _now()}
        self._running[node.key] |= {"tries": self._tries.get(node.key, 0) + 1} | expected(node)

    def finished(self, node: Node, facts: Facts) -> None:
        """Keep it for the next write."""
        self._add("finished", node, facts)

    def failed(self, node: Node, error: str, trace: str) -> None:
        """Write at once, with the traceback."""
        self._add("failed", node, {"error": error, "traceback": trace})
        self._write("running")

    def again(self, node: Node, kind: str, error: str, trace: str) -> None:
        """Keep it for the next write."""
        self._tries[node.key] = self._tries.get(node.key, 0) + 1
        self._add("again", node, {"kind": kind, "error": error, "traceback": trace})

    def tick(self) -> None:
        """Write, if it is time to."""
        if self._clock() - self._written >= EVERY_S:
            self._write("running")

    def end(self) -> None:
        """Write the last status."""
        walk = self._walk
        state = "failed" if walk.failures else "done" if walk.over and not walk.left else "stopped"
        self._events.append({"event": "end", "state": state})
        self._write(state)

    def _add(self, event: str, node: Node, facts: Facts) -> None:
        """Keep an event for the next write, with the seconds that its try took."""
        self._running.pop(node.key, None)
        since = self._since.pop(node.key, None)
        took = {} if since is None else {"seconds": round(self._clock() - since, 3)}
        about = {"event": event, "time": _now(), "key": node.key, "label": node.label}
        self._events.append(about | took | facts)

    def _write(self, state: str) -> None:
        self._written = self._clock()
        try:
            self._put(state)
        except StoreError as error:  # the next write brings what this one did not
            logger.warning("cannot write the status of run %s: %s", self._run, error)

    def _put(self, state: str) -> None:
        now = _now()
        status = {"state": state, "updated": now, "driver": self._driver} | status_of(self._walk)
        # a node that another driver's worker holds is withdrawn without a word
        running = [self._running[key] for key in self._walk.running if key in self._running]
        status |= {"running": running}
        self._store.put_run(self._run, "status.json", json.dumps(status, indent=1) + "\n")
        if not self._events and self._clock() - self._told >= ALIVE_S:
            self._events.append({"event": "alive"})
        if self._events:
            event = {"time": now, "events": self._events}
            self._store.append_event(self._run, self._writer, event)
            self._events, self._told = [], self._clock()


def status_of(walk: Walk) -> dict[str, Any]:
    """Counts, what runs and what failed; plain values."""
    nodes = walk.plan.nodes
    return {
        "total": walk.total,
        "done": len(walk.done),
        "left": walk.left,
        "running": [nodes[key].label for key in walk.running],
        "failed": [
            {"key": key, "label": nodes[key].label, "error": error}
            for key, error in walk.failures.items()
        ],
        "blocked": [
            {"key": key, "label": nodes[key].label, "needs": cause}
            for key, cause in walk.blocked.items()
        ],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
