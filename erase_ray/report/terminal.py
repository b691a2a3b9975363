"""The summary as plain text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.checks import gap_line, warnings
from erase_ray.report.measured import COLUMNS, Column, Row, Stat, summary_rows
from erase_ray.report.numbers import MISSING, TIMES, percent, plain, significant
from erase_ray.report.panels import Panel, make_panels
from erase_ray.report.read import CellInfo, Shelf, read_cells

_HEAD = (
    "",
    *(column.title for column in COLUMNS),
    "applied",
    "s/request",
    "s/training",
    "speed-up",
)


def summary_table(
    store: Shelf, keys: Iterable[str], planned: Mapping[str, dict[str, Any]] | None = None
) -> str:
    """One line for each dataset, model and method at the last mark, means over seeds (± sd).

    Missing numbers are ``-``; lines below say which cells they are and what is not comparable.

    Args:
        store: Read only.
        keys: Of the cells to show.
        planned: Settings (``Cell.model_dump(mode="json")``) by key, which give cells that are not
            done a line of their own.
    """
    return table_of(read_cells(store, keys, planned))


def table_of(cells: Sequence[CellInfo]) -> str:
    """The summary of cells that were read, see :func:`summary_table`."""
    panels = make_panels(cells)
    if not any(cell.done for panel in panels for cell in panel.cells):
        return "\n".join(filter(None, ["no results yet", gap_line(cells)]))
    rows = summary_rows(panels)
    texts = {row: _texts(row) for row in rows}
    widths = [max(map(len, column)) for column in zip(_HEAD, *texts.values(), strict=True)]
    lines = [_line(_HEAD, widths)]
    for panel in panels:
        lines.append(f"{panel.title}  [{panel.scenario}]")
        lines += [_line(texts[row], widths) for row in rows if row.panel is panel]
    return "\n".join([*lines, "", *_notes(panels, rows, gap_line(cells))])


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    first = f"  {texts[0]:<{widths[0]}}"
    rest = (f"  {text:>{width}}" for text, width in zip(texts[1:], widths[1:], strict=True))
    return (first + "".join(rest)).rstrip()


def _texts(row: Row) -> list[str]:
    star = "*" if row.is_partial else ""
    numbers = [_stat(stat, column) for stat, column in zip(row.stats, COLUMNS, strict=True)]
    return [row.series.name + star, *numbers, _requests(row), *_seconds(row), _speedup(row)]


def _stat(stat: Stat | None, column: Column) -> str:
    if stat is None:
        return MISSING
    text = percent if column.is_share else plain
    spread = f"±{text(stat.sd)}" if stat.count > 1 else ""
    return f"{text(stat.mean)}{spread}{' %' if column.is_share else ''}"


def _requests(row: Row) -> str:
    if row.total is None:
        return "" if row.is_training else MISSING
    return f"{row.applied}/{row.total}"


def _seconds(row: Row) -> tuple[str, str]:
    """Seconds of a request and of a training; what a method does not do is blank."""
    text = MISSING if row.seconds is None else significant(row.seconds)
    return ("", text) if row.is_training else (text, "")


def _speedup(row: Row) -> str:
    if row.series.method == ORIGINAL:
        return ""
    return MISSING if row.speedup is None else f"{significant(row.speedup, 2)}{TIMES}"


def _notes(panels: Sequence[Panel], rows: Sequence[Row], gap: str) -> list[str]:
    notes = [
        "sens.@k: share of requesters with a sensitive item in the top k; aim at the retrain line",
        "applied: requests that changed the model, of all; s: seconds, mean over all of them; "
        "speed-up: one retraining over a request",
    ]
    if any(stat and stat.count > 1 for row in rows for stat in row.stats):
        notes.append("±: standard deviation over seeds")
    variants = {s.name: s.variant for panel in panels for s in panel.series if s.variant}
    notes += [f"{name}: {variant}" for name, variant in sorted(variants.items())]
    notes += [f"warning: {text}" for text in warnings(panels)]
    return notes + ([f"* {gap}"] if gap else [])
