"""Tables of the page: heads, and cells with what they are sorted by."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from erase_ray.report.measured import Stat
from erase_ray.report.numbers import DASH, TIMES, percent, plain
from erase_ray.report.panels import Panel, Series

STATUSES = ("applied", "skipped", "timed_out", "non_finite", "empty")

_REASONS = 2


@dataclass(frozen=True)
class Entry:
    """A table cell.

    Args:
        text: What it says.
        sort: What it sorts by.
        remark: In smaller letters below.
        is_number: True to align it at the right.
        more: Shown when it is opened.
    """

    text: str
    sort: str | float = ""
    remark: str = ""
    is_number: bool = True
    more: str = ""


MOST_ROWS = 400
"""Rows of a table that the page shows."""


@dataclass(frozen=True)
class Sheet:
    """A table; the first ``num_heads`` entries of a row are its heads.

    Args:
        caption: What it holds.
        head: Names of the columns.
        rows: One entry a column.
        num_heads: Columns that name the row.
        keys: By which rows can be filtered: one value for each row, by the name of the filter.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    num_heads: int = 1
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def shown(self) -> list[tuple[dict[str, str], Sequence[Entry]]]:
        """The rows that the page shows, each with its values for the filters."""
        first = list(self.rows[:MOST_ROWS])
        return [
            ({name: values[place] for name, values in self.keys.items()}, row)
            for place, row in enumerate(first)
        ]

    @property
    def num_hidden(self) -> int:
        """Rows that are in the file alone."""
        return max(len(self.rows) - MOST_ROWS, 0)

    def choices(self, name: str) -> list[str]:
        """The values of a filter among the rows that are shown."""
        return sorted({key[name] for key, _ in self.shown()})

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
