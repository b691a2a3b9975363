"""How far a cell is that runs, and how fast, from what it tells meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

REQUEST, EPOCH = "request", "epoch"
WINDOW = 200
"""Requests that the rate is taken of, at most."""
EPOCHS = 10
LEAST_GAP_S = 0.01
"""Epochs that another process ran are told all at once, when they are loaded."""


@dataclass(frozen=True)
class Pace:
    """Where a cell is.

    Args:
        unit: ``request``, ``epoch``, or empty if nothing was told of either.
        position: How many of them it is through.
        total: How many there are, at most for epochs; None if that is not known.
        per_second: How many it does; None if that cannot be said yet.
        left_s: Time that the rest takes, at most for epochs; None likewise.
    """

    unit: str = ""
    position: int = 0
    total: int | None = None
    per_second: float | None = None
    left_s: float | None = None


@dataclass(frozen=True)
class RunningNode:
    """A node that runs.

    Args:
        key: Of the cell, or of the prepared dataset.
        label: For people.
        gone_s: For how long; None if that was not told.
        expected_s: What the plan expected it to take.
        tries: Which try it is.
        host: Name of the machine it runs on; empty if that is not known.
        pace: How far it is.
    """

    key: str
    label: str
    gone_s: float | None
    expected_s: float | None
    tries: int
    host: str
    pace: Pace


def pace_of(
    told: Sequence[dict[str, Any]], now: float, epochs: int | None, num_requests: int | None
) -> Pace:
    """Where a cell is.

    Args:
        told: What its last try tells, or the end of it; see :mod:`erase_ray.experiment.live`.
        now: Seconds since 1970.
        epochs: The most that a training may take, if that is known.
        num_requests: Requests that it serves one by one, if that is known.
    """
    events = [event for event in told if event["event"] in (REQUEST, EPOCH)]
    if not events:
        return Pace()
    last = events[-1]
    unit = last["event"]
    position = last[unit] + 1
    total = num_requests if unit == REQUEST else epochs
    gap = _request_gap(events) if unit == REQUEST else _epoch_gap(events)
    if not gap:
        return Pace(unit, position, total)
    left = None
    if total is not None:
        # the one that it is at has not begun just now
        begun = min(gap, max(0.0, now - last["time"]))
        left = max(0.0, gap * (total - position) - begun)
    return Pace(unit, position, total, 1 / gap, left)


def _request_gap(events: Sequence[dict[str, Any]]) -> float | None:
    """Seconds from one request to the next, on average over the last ones."""
    times = [event["time"] for event in events if event["event"] == REQUEST][-WINDOW:]
    return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else None


def _epoch_gap(events: Sequence[dict[str, Any]]) -> float | None:
    """Seconds from one epoch to the next: the median of those of the training that goes on."""
    gaps: list[float] = []
    for before, after in pairwise(events):
        is_next = before["event"] == after["event"] and after[EPOCH] == before[EPOCH] + 1
        gaps = [*gaps, after["time"] - before["time"]] if is_next else []
    real = [gap for gap in gaps if gap >= LEAST_GAP_S]
    return median(real[-EPOCHS:]) if real else None
