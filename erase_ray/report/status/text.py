"""A status as plain text of at most 80 columns."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from erase_ray.experiment.plan_text import duration
from erase_ray.report.data_text import table
from erase_ray.report.status import words
from erase_ray.report.status.nodes import Tally
from erase_ray.report.status.standing import RunState, RunStatus

WIDTH = 80
BAR = 40
LABEL = 34
MOST_GROUPS, MOST_FAILURES = 20, 8


def status_text(status: RunStatus) -> str:
    """A status, block by block."""
    blocks = [
        _head(status),
        _spent(status),
        _progress(status),
        _running(status),
        _recent(status),
        _failures(status),
        _others(status),
    ]
    lines = "\n\n".join("\n".join(block) for block in blocks if block).splitlines()
    return "\n".join(cut(line, WIDTH) for line in lines)


def cut(text: str, most: int) -> str:
    """``text`` without its middle if it is longer than ``most`` letters: both ends tell most."""
    if len(text) <= most:
        return text
    end = (most - 1) // 2
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def _head(status: RunStatus) -> list[str]:
    newest = " (newest)" if status.is_newest and status.num_runs > 1 else ""
    left = "" if status.left_s is None else f", about {duration(status.left_s)} left"
    tally = status.tally
    lines = [f"run {status.run}{newest} of {status.storage}", words.headline(status)]
    if tally.all:
        filled = int(BAR * tally.share_done)
        bar = f"[{'#' * filled}{'-' * (BAR - filled)}] {100 * tally.share_done:.0f} %{left}"
        lines += [bar, words.counts_text(status)]
    lines += [words.driver_text(status), words.again_text(status.again)]
    lines.append(f"report: {status.page}" if status.page else "")
    return [line for line in lines if line]


def _spent(status: RunStatus) -> list[str]:
    rows = words.spent_rows(status)
    if not rows:
        return []
    if status.spending.num_sessions < 2:
        return table([row[:3] for row in rows], ("spent", "so far", "planned"))
    return table(rows, ("spent", "this start", "planned then", "all starts"))


def _progress(status: RunStatus) -> list[str]:
    """A block for each level at which there is more than one name."""
    blocks = []
    for level, found in status.levels().items():
        blocks += [_counts(name, tally) for name, tally in _first(level, found)]
    return table(blocks, ("", *words.COUNTS, "%")) if blocks else []


def _first(level: str, found: dict[str, Tally]) -> list[tuple[str, Tally]]:
    """The names of a level under its own; of very many those where something is left."""
    listed = list(found.items())
    if len(listed) > MOST_GROUPS:
        listed.sort(key=lambda each: each[1].all == each[1].done)
    shown = [(f"  {cut(name, 22)}", tally) for name, tally in listed[:MOST_GROUPS]]
    return [(level, Tally()), *shown]


def _counts(name: str, tally: Tally) -> tuple[str, ...]:
    if not tally.all:
        return (name, *[""] * (len(words.COUNTS) + 1))
    counts = (f"{getattr(tally, count) or '-'}" for count in words.COUNTS)
    return (name, *counts, f"{100 * tally.share_done:.0f}")


def _running(status: RunStatus) -> list[str]:
    if not status.running:
        return []
    title = "running" if status.state == RunState.RUNNING else "was running"
    rows = [
        [
            cut(node.label, LABEL) + (f" (try {node.tries})" if node.tries > 1 else ""),
            words.time_text(node.gone_s),
            words.pace_text(node.pace),
            words.left_text(node),
        ]
        for node in status.running
    ]
    lines = table(rows, (title, "for", "at", "left"), left=("at",))
    hosts = Counter(node.host for node in status.running if node.host)
    if len(hosts) > 1:
        lines.append("on " + ", ".join(f"{host} ({count})" for host, count in hosts.items()))
    more = status.num_running - len(status.running)
    return [*lines, *([f"and {more} more"] if more else [])]


def _recent(status: RunStatus) -> list[str]:
    rows = [
        [
            f"{datetime.fromtimestamp(each.at, UTC):%H:%M:%S}",
            words.OUTCOMES[each.what],
            cut(each.label, LABEL),
            words.took_text(each),
            words.reason_of(each),
        ]
        for each in status.recent
    ]
    head = ("UTC", "ended", "cell", "took", "")
    return table(rows, head, left=("ended", "cell", "")) if rows else []


def _failures(status: RunStatus) -> list[str]:
    """Each on lines of its own: the text of an error is what there is to go by."""
    lines = ["failed"] if status.failures else []
    for each in status.failures[:MOST_FAILURES]:
        lines += [f"  {words.failed_text(each)}", *_wrapped(each.error, "    ")]
    more = len(status.failures) - MOST_FAILURES
    return [*lines, *([f"  and {more} other errors"] if more > 0 else [])]


def _wrapped(text: str, indent: str, most: int = 4) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][: WIDTH - 1]}…"]
    return lines


def _others(status: RunStatus) -> list[str]:
    rows: Sequence[Sequence[str]] = [
        [other.name, other.state, words.clock_text(other.changed)] for other in status.others
    ]
    if not rows:
        return []
    more = status.num_runs - 1 - len(rows)
    lines = table(rows, ("other runs", "", "last written"), left=("", "last written"))
    return [*lines, *([f"and {more} more"] if more else []), "show one with --run NAME"]
