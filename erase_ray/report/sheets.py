"""Tables of the page: heads, and cells with what they are sorted by."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.measured import COLUMNS, Column, Row, Stat, summary_rows
from erase_ray.report.numbers import DASH, MINUS, TIMES, percent, plain, significant, utc
from erase_ray.report.panels import RETRAIN, Panel, Series
from erase_ray.report.read import CellInfo

STATUSES = ("applied", "skipped", "timed_out", "non_finite", "empty")

_REASONS = 2


@dataclass(frozen=True)
class Entry:
    """A table cell: its text, what it sorts by, and a smaller remark."""

    text: str
    sort: str | float = ""
    remark: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Sheet:
    """A table; the first ``num_heads`` entries of a row are its heads."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    num_heads: int = 1

    def is_number(self, place: int) -> bool:
        """True if the column at ``place`` holds numbers."""
        return bool(self.rows) and self.rows[0][place].is_number


def words(text: str) -> Entry:
    """An entry that is no number."""
    return Entry(text, text, is_number=False)


def missing() -> Entry:
    """An entry for a number that nobody has measured."""
    return Entry(DASH)


def stat_entry(stat: Stat | None, is_share: bool) -> Entry:
    """A mean with its spread."""
    if stat is None:
        return missing()
    number = percent if is_share else plain
    spread = f"± {number(stat.sd)}" if stat.count > 1 else ""
    return Entry(f"{number(stat.mean)}{' %' if is_share else ''}", stat.mean, spread)


def summary_sheet(panels: Sequence[Panel]) -> Sheet:
    """One row a dataset, model and method, at the last mark."""
    rows = summary_rows(panels)
    several = any(stat and stat.count > 1 for row in rows for stat in row.stats)
    head = [f"Dataset\u00a0{TIMES}\u00a0model", "Method", *(_title(column) for column in COLUMNS)]
    return Sheet(
        "After all requests. "
        + ("Means over seeds ± standard deviation. " if several else "")
        + "In brackets: percentage points above or below the retrained model.",
        [
            *head,
            "Requests applied",
            "Seconds\u00a0a request",
            "Seconds\u00a0a training",
            "Speed-up",
        ],
        [_summary_row(row, _reference(rows, row)) for row in rows],
        num_heads=2,
    )


def outcome_sheet(panel: Panel) -> Sheet:
    """What became of the requests of each method."""
    others = sorted(
        {
            status
            for cell in panel.cells
            if cell.done
            for status in cell.tables["requests"]["status"]
        }
        - set(STATUSES)
    )
    statuses = [*STATUSES, *others]
    rows = [_outcome_row(panel, place, statuses) for place in range(len(panel.series))]
    return Sheet(
        f"Request outcomes, {panel.title}",
        ["Method", *(status.replace("_", " ") for status in statuses)],
        [row for row in rows if row],
    )


def first_reasons(panel: Panel) -> list[tuple[str, str]]:
    """Pairs of a series and a reason, the first few of each in the order of the requests."""
    found = []
    for series in panel.series:
        reasons = Counter(f"{status}: {why}" for status, why in _outcomes(series) if why)
        shown = list(reasons.items())[:_REASONS]
        found += [(series.name, f"{text} ({count}{TIMES})") for text, count in shown]
    return found


def cell_sheet(cells: Sequence[CellInfo]) -> Sheet:
    """Where every number comes from."""
    rows = [
        [
            Entry(cell.label, cell.label, is_number=False),
            words(cell.key[:12]),
            words(utc(str(cell.manifest.get("created", "")))),
            words(str(cell.facts.get("test_hash") or "")[:12]),
            words(str(cell.facts.get("split_hash") or "")[:12]),
        ]
        for cell in cells
        if cell.done
    ]
    return Sheet("Finished cells", ["Cell", "Key", "Committed", "Test rows", "Split"], rows)


def _title(column: Column) -> str:
    return column.title.replace("sens.", "Sensitive ")


def _reference(rows: Sequence[Row], row: Row) -> Row | None:
    same = (r for r in rows if r.panel is row.panel and r.series.method == RETRAIN)
    return next(same, None)


def _summary_row(row: Row, reference: Row | None) -> list[Entry]:
    numbers = [
        _with_distance(stat, reference.stats[place] if reference else None, column, row)
        for place, (stat, column) in enumerate(zip(row.stats, COLUMNS, strict=True))
    ]
    remark = "cells missing" if row.is_partial else ""
    name = Entry(row.series.name, row.series.name, remark, is_number=False)
    return [words(row.panel.title), name, *numbers, *_work(row)]


def _with_distance(stat: Stat | None, reference: Stat | None, column: Column, row: Row) -> Entry:
    """A share also says how far it is from the retrained model's."""
    entry = stat_entry(stat, column.is_share)
    if not (stat and reference and column.is_share) or row.series.method == RETRAIN:
        return entry
    points = 100 * (stat.mean - reference.mean)
    return Entry(entry.text, entry.sort, f"{entry.remark} ({_signed(points)})".strip())


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", MINUS)


def _work(row: Row) -> list[Entry]:
    blank = Entry("")
    requests = blank if row.is_training else missing()
    if row.total is not None:
        requests = Entry(f"{row.applied} of {row.total}", (row.applied or 0) / row.total)
    time = missing() if row.seconds is None else Entry(significant(row.seconds), row.seconds)
    times = [blank, time] if row.is_training else [time, blank]
    speedup = blank if row.series.method == ORIGINAL else missing()
    if row.speedup is not None:
        speedup = Entry(f"{significant(row.speedup, 2)} {TIMES}", row.speedup)
    return [requests, *times, speedup]


def _outcome_row(panel: Panel, place: int, statuses: Sequence[str]) -> list[Entry]:
    series = panel.series[place]
    counts = Counter(status for status, _ in _outcomes(series))
    if not counts:
        return []
    merged = all(cell.settings["mark"] is not None for cell in series.cells)
    name = Entry(series.name, series.name, "merged, one a mark" if merged else "", False)
    return [name, *(Entry(str(counts[status]), counts[status]) for status in statuses)]


def _outcomes(series: Series) -> list[tuple[str, str]]:
    """Status and reason of all requests."""
    tables = [cell.tables["requests"] for cell in series.cells if cell.done]
    return [
        pair
        for table in tables
        for pair in zip(table["status"].tolist(), table["reason"].tolist(), strict=True)
    ]
