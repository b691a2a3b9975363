"""How a run stands, as plain values."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from erase_ray.report.status.history import Outcome
from erase_ray.report.status.nodes import Tally
from erase_ray.report.status.pace import RunningNode
from erase_ray.report.status.spending import Spending

LEVELS = ("task", "dataset", "model", "method")


class RunState(StrEnum):
    """What a run does."""

    RUNNING = "running"
    SILENT = "silent"
    """Its driver should be at work and does not say so."""
    DONE = "done"
    FAILED = "failed"
    """It is over, and some cells failed."""
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """No driver has written a status."""


ALIVE = (RunState.RUNNING, RunState.SILENT)


@dataclass(frozen=True)
class Failure:
    """An error, and the nodes that were given up for it.

    Args:
        error: One line.
        labels: Of the nodes.
        num_blocked: How many nodes need them.
    """

    error: str
    labels: list[str]
    num_blocked: int


@dataclass(frozen=True)
class Group:
    """Counts of the nodes of one dataset, model and method."""

    task: str
    dataset: str
    model: str
    method: str
    tally: Tally


@dataclass(frozen=True)
class OtherRun:
    """Another run of the store; ``changed`` is in seconds since 1970."""

    name: str
    state: RunState
    changed: float


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Args:
        storage: Its address, without secrets.
        run: Its name.
        is_newest: Whether no other run was written to after it.
        now: When it was looked at, seconds since 1970.
        state: What it does.
        updated: When its driver last wrote; None if that is not known.
        host: Of the driver; empty if that is not known.
        tally: Of all nodes.
        groups: The same by task, dataset, model and method.
        running: The nodes that run longest.
        num_running: How many there are.
        recent: The last tries that ended, newest first.
        failures: What was given up, and why.
        again: How often something was tried again, by the reason.
        left_s: Time until the end; None if nobody is at work.
        spending: Work, time and money.
        others: The other runs of the store, newest first.
        num_runs: How many runs there are.
        page: Address of the report; empty if there is none.
    """

    storage: str
    run: str
    is_newest: bool
    now: float
    state: RunState
    updated: float | None
    host: str
    tally: Tally
    groups: list[Group]
    running: list[RunningNode]
    num_running: int
    recent: list[Outcome]
    failures: list[Failure]
    again: dict[str, int]
    left_s: float | None
    spending: Spending
    others: list[OtherRun]
    num_runs: int
    page: str

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless somebody starts it again."""
        return self.state not in ALIVE

    def levels(self) -> dict[str, dict[str, Tally]]:
        """Counts by task, dataset, model and method, each where there is more than one name.

        A level that only gives other names to the groups of one before is left out.
        """
        found: dict[str, dict[str, Tally]] = {}
        for level in LEVELS:
            counts = self._by(level)
            named = [group for group in self.groups if getattr(group, level)]
            pairs = [{(getattr(g, other), getattr(g, level)) for g in named} for other in found]
            if len(counts) > 1 and all(len(pair) > len(counts) for pair in pairs):
                found[level] = counts
        return found

    def _by(self, level: str) -> dict[str, Tally]:
        found: dict[str, Counter[str]] = {}
        for group in self.groups:
            if name := getattr(group, level):
                found.setdefault(name, Counter()).update(vars(group.tally))
        return {name: Tally(**counts) for name, counts in sorted(found.items())}
