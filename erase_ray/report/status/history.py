"""What has happened in a run: its drivers, and how tries of nodes ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FINISHED, FAILED, AGAIN = "finished", "failed", "again"


@dataclass(frozen=True)
class Session:
    """A driver that was at work.

    Args:
        writer: Its name.
        host: Of the machine it ran on; empty if it did not say.
        began: Seconds since 1970.
        seen: Its last sign of life, or its end.
        ended: How it said that it ended; empty if it did not.
    """

    writer: str
    host: str
    began: float
    seen: float
    ended: str


@dataclass(frozen=True)
class Outcome:
    """How a try of a node ended.

    Args:
        what: ``finished``, ``failed``, or ``again`` if it is tried again.
        at: Seconds since 1970.
        key: Of the node.
        label: For people.
        seconds: It took; None if that was not told.
        error: One line; empty if it finished.
        kind: Why it is tried again; empty if it is not.
        device: ``cuda`` or ``cpu``; empty if that was not told.
        session: Name of the driver.
    """

    what: str
    at: float
    key: str
    label: str
    seconds: float | None
    error: str
    kind: str
    device: str
    session: str


Batches = Mapping[str, list[dict[str, Any]]]


def seconds_of(time: str) -> float:
    """Seconds since 1970 of an ISO time."""
    return datetime.fromisoformat(time).timestamp()


def sessions(batches: Batches) -> list[Session]:
    """The drivers, in the order in which they began."""
    found = [_session(writer, listed) for writer, listed in batches.items() if listed]
    return sorted(found, key=lambda session: (session.began, session.writer))


def outcomes(batches: Batches) -> list[Outcome]:
    """How tries ended, oldest first."""
    found = [
        _outcome(event, batch["time"], writer)
        for writer, listed in batches.items()
        for batch in listed
        for event in batch["events"]
        if event["event"] in (FINISHED, FAILED, AGAIN)
    ]
    return sorted(found, key=lambda outcome: outcome.at)


def alive_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the time in which there was a driver; where there were two it counts once."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _session(writer: str, batches: list[dict[str, Any]]) -> Session:
    events = [event for batch in batches for event in batch["events"]]
    return Session(
        writer=writer,
        host=next((e["host"] for e in events if e["event"] == "begin"), ""),
        began=seconds_of(batches[0]["time"]),
        seen=seconds_of(batches[-1]["time"]),
        ended=next((e["state"] for e in events if e["event"] == "end"), ""),
    )


def _outcome(event: dict[str, Any], written: str, session: str) -> Outcome:
    return Outcome(
        what=event["event"],
        at=seconds_of(event.get("time", written)),
        key=event["key"],
        label=event["label"],
        seconds=event.get("seconds"),
        error=event.get("error", ""),
        kind=event.get("kind", "") if event["event"] == AGAIN else "",
        device=event.get("device", ""),
        session=session,
    )
