"""Everything that a status shows, put together from the files of a run."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from erase_ray.errors import StoreError
from erase_ray.report.status.files import RunFiles, RunName, Told
from erase_ray.report.status.history import (
    AGAIN,
    FINISHED,
    Outcome,
    Session,
    outcomes,
    seconds_of,
    sessions,
)
from erase_ray.report.status.nodes import NodeInfo, States, Tally, read_nodes, tallies
from erase_ray.report.status.pace import RunningNode, pace_of
from erase_ray.report.status.spending import spending, time_left
from erase_ray.report.status.standing import (
    ALIVE,
    Failure,
    Group,
    OtherRun,
    RunState,
    RunStatus,
)

SILENT_S = 60.0
"""A driver writes every ten seconds."""
MOST_RUNNING, MOST_RECENT, MOST_RUNS = 12, 8, 8


class StatusReader:
    """Reads how runs stand; again and again for as long as somebody watches.

    Args:
        files: Of the runs of a store.
        clock: Seconds since 1970.
    """

    def __init__(self, files: RunFiles, clock: Callable[[], float] = time.time) -> None:
        self._files, self._clock = files, clock

    def read(self, run: str | None = None) -> RunStatus:
        """How a run stands now; the newest by default.

        Raises:
            StoreError: There is no run, or none of this name; or the storage cannot be read.
        """
        listed = self._files.look()
        chosen = _choose(listed, run, self._files.address)
        status = self._files.status(chosen.name) if chosen.has_status else {}
        return self._put_together(chosen, listed, status)

    def _put_together(
        self, chosen: RunName, listed: Sequence[RunName], status: Mapping[str, Any]
    ) -> RunStatus:
        run, now = chosen.name, self._clock()
        nodes = {node.key: node for node in read_nodes(self._files.plan(run))}
        batches, estimate = self._files.events(run), self._files.estimate(run)
        updated = seconds_of(status["updated"]) if status else None
        drivers = _with_last_sign(sessions(batches), updated)
        ended = outcomes(batches)
        state = _state(status, updated, now)
        entries = _entries(status, nodes) if state in ALIVE else []
        running = self._running(
            entries, nodes, now if state == RunState.RUNNING else updated or now
        )
        states = _states(status, ended, running)
        slots = estimate.get("slots", 1)
        return RunStatus(
            storage=self._files.address,
            run=run,
            is_newest=chosen == listed[0],
            now=now,
            state=state,
            updated=updated,
            host=drivers[-1].host if drivers else "",
            tally=Tally.of(states.of(node) for node in nodes.values()),
            groups=[Group(*place, tally) for place, tally in _groups(nodes, states).items()],
            running=running[:MOST_RUNNING],
            num_running=len(running),
            recent=ended[: -MOST_RECENT - 1 : -1],
            failures=_failures(status),
            again=dict(Counter(each.kind or "error" for each in ended if each.what == AGAIN)),
            left_s=time_left(nodes, states, ended, running, slots)
            if state == RunState.RUNNING
            else None,
            spending=spending(drivers, ended, nodes, estimate),
            others=self._others(listed, run),
            num_runs=len(listed),
            page=f"{self._files.address}/runs/{run}/report/index.html" if chosen.has_page else "",
        )

    def _running(
        self, entries: Sequence[dict[str, Any]], nodes: Mapping[str, NodeInfo], now: float
    ) -> list[RunningNode]:
        """What runs, the oldest first; only of the first ones it is read how far they are."""
        listed = sorted(entries, key=lambda entry: entry.get("started", ""))
        told = self._files.told(entry["key"] for entry in listed[:MOST_RUNNING])
        told += [Told()] * (len(listed) - len(told))
        return [
            RunningNode(
                key=entry["key"],
                label=entry["label"],
                gone_s=max(0.0, now - seconds_of(entry["started"])) if "started" in entry else None,
                expected_s=nodes[entry["key"]].seconds if entry["key"] in nodes else None,
                tries=entry.get("tries", 1),
                host=each.host,
                pace=pace_of(
                    each.events, now, entry.get("epochs"), self._num_requests(entry, each)
                ),
            )
            for entry, each in zip(listed, told, strict=True)
        ]

    def _num_requests(self, entry: Mapping[str, Any], told: Told) -> int | None:
        return (
            self._files.num_requests(entry["chain"]) if told.events and "chain" in entry else None
        )

    def _others(self, listed: Sequence[RunName], run: str) -> list[OtherRun]:
        """The last ones; one small file of each is read."""
        found = []
        for other in [each for each in listed if each.name != run][:MOST_RUNS]:
            status = self._files.status(other.name) if other.has_status else {}
            updated = seconds_of(status["updated"]) if status else other.changed
            found.append(OtherRun(other.name, _state(status, updated, self._clock()), updated))
        return found


def _choose(listed: Sequence[RunName], run: str | None, address: str) -> RunName:
    if not listed:
        raise StoreError(
            f"there is no run in the store at {address}; jobs/full_grid.py --storage with this "
            "address starts one, or give the address that it was started with"
        )
    if run is None:
        return listed[0]
    for each in listed:
        if each.name == run:
            return each
    known = ", ".join(each.name for each in listed)
    raise StoreError(f"no run of the store at {address} is called '{run}'. Known: {known}")


def _state(status: Mapping[str, Any], updated: float | None, now: float) -> RunState:
    if not status or updated is None:
        return RunState.UNKNOWN
    state = RunState(status["state"])
    is_late = state == RunState.RUNNING and now - updated > SILENT_S
    return RunState.SILENT if is_late else state


def _with_last_sign(drivers: list[Session], updated: float | None) -> list[Session]:
    """The last driver wrote its status after its last event."""
    if not drivers or updated is None:
        return drivers
    last = drivers[-1]
    return [*drivers[:-1], replace(last, seen=max(last.seen, updated))]


def _entries(status: Mapping[str, Any], nodes: Mapping[str, NodeInfo]) -> list[dict[str, Any]]:
    """What runs, by its key; runs before a version told the labels alone."""
    by_label = {node.label: node.key for node in nodes.values()}
    entries = [
        {"key": by_label.get(each, ""), "label": each} if isinstance(each, str) else each
        for each in status.get("running", ())
    ]
    return [entry for entry in entries if entry["key"]]


def _states(
    status: Mapping[str, Any], ended: Sequence[Outcome], running: Sequence[RunningNode]
) -> States:
    return States(
        done={outcome.key for outcome in ended if outcome.what == FINISHED},
        running={node.key for node in running},
        failed={entry["key"] for entry in status.get("failed", ())},
        blocked={entry["key"] for entry in status.get("blocked", ())},
    )


def _failures(status: Mapping[str, Any]) -> list[Failure]:
    blocked = Counter(entry["needs"] for entry in status.get("blocked", ()))
    found: dict[str, list[dict[str, str]]] = {}
    for entry in status.get("failed", ()):
        found.setdefault(entry["error"], []).append(entry)
    return [
        Failure(
            error=error,
            labels=[entry["label"] for entry in entries],
            num_blocked=sum(blocked[entry["key"]] for entry in entries),
        )
        for error, entries in found.items()
    ]


def _groups(
    nodes: Mapping[str, NodeInfo], states: States
) -> dict[tuple[str, str, str, str], Tally]:
    return tallies(
        nodes.values(), states, lambda node: (node.task, node.dataset, node.model, node.method)
    )
