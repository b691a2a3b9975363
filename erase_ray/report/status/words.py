"""What terminal and page say alike: states, rates, times and reasons in words."""

from collections.abc import Mapping
from datetime import UTC, datetime

from erase_ray.experiment.plan_text import duration
from erase_ray.report.numbers import DASH, significant
from erase_ray.report.status.history import AGAIN, FAILED, FINISHED, Outcome
from erase_ray.report.status.pace import EPOCH, Pace, RunningNode
from erase_ray.report.status.standing import Failure, RunState, RunStatus

OUTCOMES = {FINISHED: "done", FAILED: "FAILED", AGAIN: "again"}
REASONS = {
    "node": "machine lost",
    "worker": "process died",
    "hung": "no sign of life",
    "memory": "out of memory",
    "error": "error",
}
SMALLEST = 0.01
COUNTS = ("all", "done", "running", "failed", "blocked", "left")
"""Fields of a tally, in the order in which they are shown."""


def headline(status: RunStatus) -> str:
    """The state of a run in a sentence."""
    ago = "" if status.updated is None else duration(max(0.0, status.now - status.updated))
    gone = status.spending.latest.seconds
    after = "" if gone is None else f" after {duration(gone)}"
    failures = _number(status.tally.failed, "failure")
    return {
        RunState.RUNNING: f"running for {duration(gone or 0)}, updated {ago} ago",
        RunState.SILENT: f"silent for {ago}: its driver has died or cannot reach the store",
        RunState.DONE: f"done{after}, {ago} ago",
        RunState.FAILED: f"over with {failures}{after}, {ago} ago",
        RunState.STOPPED: f"stopped{after}, {ago} ago; the same command goes on from here",
    }.get(status.state, "no driver has written a status: nothing was left to run")


def driver_text(status: RunStatus) -> str:
    """Where the driver is, and which start this is; empty if that is not known."""
    starts = status.spending.num_sessions
    where = f"driver on {status.host}" if status.host else ""
    return ", ".join(filter(None, [where, f"start {starts}" if starts > 1 else ""]))


def counts_text(status: RunStatus) -> str:
    """How many nodes there are of each kind; what there is none of is left out."""
    tally = status.tally
    more = [f"{getattr(tally, name):,} {name}" for name in COUNTS[2:] if getattr(tally, name)]
    return ", ".join([f"{tally.done:,} of {tally.all:,} done", *more])


def pace_text(pace: Pace) -> str:
    """How far a cell is and how fast, such as ``request 123/400, 3.1/s``."""
    if not pace.unit:
        return DASH
    of = "" if pace.total is None else f"/{pace.total}"
    speed = "" if pace.per_second is None else f", {_speed(pace)}"
    return f"{pace.unit} {pace.position}{of}{speed}"


def left_text(node: RunningNode) -> str:
    """Time that the rest of a node takes; of one that tells nothing, what the plan expects."""
    if node.pace.left_s is not None:
        bound = "< " if node.pace.unit == EPOCH else ""
        return f"{bound}{duration(node.pace.left_s)}"
    if node.pace.unit or node.gone_s is None or node.expected_s is None:
        return DASH
    left = node.expected_s - node.gone_s
    return f"~ {duration(left)}" if left >= 1 else "soon"


def time_text(seconds: float | None) -> str:
    """A duration; a dash if it is not known."""
    return DASH if seconds is None else duration(seconds)


def hours_text(hours: float | None) -> str:
    """Hours with two decimals; a dash if they are not known."""
    if hours is None:
        return DASH
    return f"{hours:.2f}" if hours >= SMALLEST or not hours else f"< {SMALLEST}"


def clock_text(at: float) -> str:
    """A moment as ``2026-02-01 10:00:05 UTC``."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def took_text(outcome: Outcome) -> str:
    """Seconds of a try; a dash if they are not known."""
    return DASH if outcome.seconds is None else f"{outcome.seconds:.1f} s"


def reason_of(outcome: Outcome) -> str:
    """Why a try came to nothing and there is another, in two words; empty if it did not."""
    return REASONS.get(outcome.kind, outcome.kind)


def failed_text(failure: Failure, most: int = 1) -> str:
    """Which nodes failed: the first, how many more, and how many need them."""
    more = len(failure.labels) - most
    named = ", ".join(failure.labels[:most]) + (f" and {more:,} more" if more > 0 else "")
    blocked = f" ({failure.num_blocked:,} left out that need it)" if failure.num_blocked else ""
    return f"{named}{blocked}"


def again_text(again: Mapping[str, int]) -> str:
    """How often something was tried again, with the reasons; empty for never."""
    if not again:
        return ""
    reasons = ", ".join(f"{count} {REASONS.get(kind, kind)}" for kind, count in again.items())
    times = sum(again.values())
    return f"tried again {_number(times, 'time')} ({reasons})"


def spent_rows(status: RunStatus) -> list[tuple[str, ...]]:
    """Name, since the last start, planned then, and since the first start, of what is known."""
    spending = status.spending
    parts = (spending.latest, spending.planned, spending.total)
    kinds = {
        "time": [time_text(part.seconds) for part in parts],
        "GPU-hours": [hours_text(part.gpu_hours) for part in parts],
        "CPU-hours": [hours_text(part.cpu_hours) for part in parts],
        "dollars": [_dollars(part.dollars) for part in parts],
    }
    nothing = (DASH, "0.00", "$0.00")
    return [(name, *row) for name, row in kinds.items() if any(v not in nothing for v in row)]


def _dollars(value: float | None) -> str:
    return DASH if value is None else f"${value:.2f}"


def _speed(pace: Pace) -> str:
    assert pace.per_second is not None
    if pace.per_second >= 1:
        return f"{significant(pace.per_second)}/s"
    return f"{significant(1 / pace.per_second)} s each"


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
