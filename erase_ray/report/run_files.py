"""What the runs in a store planned, and what went wrong in them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from erase_ray.errors import EraseError, SettingsError
from erase_ray.experiment.results import BASE

NO_CELLS = ("data", BASE)
"""Kinds of nodes that hold no numbers of a method."""


class RunShelf(Protocol):
    """What is asked of a store about its runs."""

    def runs(self) -> list[str]:
        """Names of all runs."""
        ...

    def get_run(self, run: str, name: str) -> str | None:
        """A text file of a run."""
        ...

    def events(self, run: str) -> list[dict[str, Any]]:
        """All events of a run."""
        ...


@dataclass(frozen=True)
class Failure:
    """What is known of a node that failed.

    Args:
        key: Of the cell or dataset; empty if it is not known.
        label: For people.
        kind: ``error``, ``memory`` ..., as the last try had it.
        error: One line.
        attempts: Tries that are known of.
        where: Host or worker, if anybody said so.
        trace: The last traceback.
    """

    key: str
    label: str
    kind: str = ""
    error: str = ""
    attempts: int = 1
    where: str = ""
    trace: str = ""


@dataclass(frozen=True)
class RunFiles:
    """The runs that a report is about.

    Args:
        names: Of the runs.
        labels: What the plans call each node that is to have numbers, by key.
        failures: Nodes that were given up and are not done.
        blocked: What each node waits for that was given up, by the node's key.
        state: Of the last run that was written to, if it says so.
        updated: When that was.
    """

    names: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    blocked: dict[str, str] = field(default_factory=dict)
    state: str = ""
    updated: str = ""


def read_runs(store: RunShelf, run: str = "") -> RunFiles:
    """Plans, status and events of one run, or of all; what cannot be read counts as not there.

    Raises:
        SettingsError: There is no such run.
    """
    known = store.runs()
    if run and run not in known:
        raise SettingsError(f"no run is called '{run}'. Known: {', '.join(known) or 'none'}")
    names = (run,) if run else tuple(known)
    labels: dict[str, str] = {}
    for name in names:
        labels |= _planned(_json(store, name, "plan.json"))
    states = [status for name in names if (status := _json(store, name, "status.json"))]
    last = max(states, key=lambda status: str(status.get("updated", "")), default={})
    failures = [failure for name in names for failure in _failures(store, name)]
    return RunFiles(
        names=names,
        labels=labels,
        failures=tuple({failure.key or failure.label: failure for failure in failures}.values()),
        blocked={key: text for status in states for key, text in _blocked(status)},
        state=str(last.get("state", "")),
        updated=str(last.get("updated", "")),
    )


def _planned(plan: dict[str, Any]) -> dict[str, str]:
    nodes = plan.get("nodes", [])
    return {
        node["key"]: str(node.get("label", ""))
        for node in nodes
        if node.get("kind") not in NO_CELLS and not _is_shadow(node)
    }


def _is_shadow(node: dict[str, Any]) -> bool:
    return "shadow" in f"{node.get('kind', '')}{node.get('label', '')}"


def _blocked(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    names = {node.get("key"): node.get("label") for node in status.get("failed", [])}
    for node in status.get("blocked", []):
        cause = names.get(node.get("needs"), str(node.get("needs", ""))[:12])
        yield str(node.get("key", "")), f"needs {cause}, which failed"


def _failures(store: RunShelf, run: str) -> Iterator[Failure]:
    """What the last status lists as failed, with what the events know of it."""
    listed = _json(store, run, "status.json").get("failed", [])
    events = list(_placed(_flat(_events(store, run))))
    tries = Counter(event.get("key") for event in events if event.get("event") == "again")
    again = {event.get("key"): event for event in events if event.get("event") == "again"}
    last = {event.get("key"): event for event in events if event.get("event") in _TELLING}
    for node in listed:
        key, event = str(node.get("key", "")), last.get(node.get("key"), {})
        yield Failure(
            key=key,
            label=str(node.get("label", "?")),
            kind=str(again.get(key, {}).get("kind") or kind_of(str(node.get("error", "")))),
            error=str(node.get("error", "")),
            attempts=tries[key] + 1,
            where=str(event.get("worker") or event.get("node") or event.get("host") or ""),
            trace=str(event.get("traceback", "")),
        )


_TELLING = ("failed", "again")


def kind_of(error: str) -> str:
    """The class of an error, which its text begins with."""
    name, colon, _ = error.partition(":")
    return name if colon and name.isidentifier() else "error"


def _placed(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events, each with the host of the driver that told it; they come driver by driver."""
    host = ""
    for event in events:
        host = str(event.get("host", host))
        yield {"host": host} | event


def _flat(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for event in events:
        yield from event.get("events", [event])


def _events(store: RunShelf, run: str) -> list[dict[str, Any]]:
    try:
        return store.events(run)
    except (EraseError, ValueError):
        return []


def _json(store: RunShelf, run: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(store.get_run(run, name) or "{}")
    except (EraseError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
