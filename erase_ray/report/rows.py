"""All stored numbers of a report as one tidy frame."""

from collections.abc import Sequence

import pandas as pd

from erase_ray.report.panels import Panel
from erase_ray.report.read import CellInfo

PLACE = ["panel", "series"]
"""Columns that name a series: the id of its panel and its own name."""
ROWS = (*PLACE, "seed", "mark", "metric", "k", "value", "unit", "better", "n", "cell")
"""Columns of the frame: one measured number a row."""
_KINDS = {"value": float, "k": int, "mark": int, "seed": int, "n": int}


def measured_rows(panels: Sequence[Panel]) -> pd.DataFrame:
    """Results and costs of all finished cells but audits; columns ``ROWS``."""
    return _stacked(
        (panel.id, series.name, cell)
        for panel in panels
        for series in panel.series
        for cell in series.cells
    )


def audit_rows(panels: Sequence[Panel]) -> pd.DataFrame:
    """What audits found; columns ``ROWS``, ``series`` being the audited method."""
    return _stacked(
        (panel.id, series.name, cell)
        for panel in panels
        for series in panel.series
        for cell in series.audits
    )


def request_rows(panels: Sequence[Panel]) -> pd.DataFrame:
    """Requests that were served one by one, with ``PLACE``, ``seed`` and ``cell`` added."""
    frames = [
        cell.tables["requests"].assign(
            panel=panel.id, series=series.name, seed=cell.settings["seed"], cell=cell.key
        )
        for panel in panels
        for series in panel.series
        for cell in series.cells
        if cell.done and cell.settings.get("mark") is None and len(cell.tables["requests"])
    ]
    return pd.DataFrame(pd.concat(frames, ignore_index=True)) if frames else pd.DataFrame()


def _stacked(found) -> pd.DataFrame:
    frames = [
        frame.assign(panel=panel, series=series, seed=cell.settings["seed"], cell=cell.key)
        for panel, series, cell in found
        for frame in _tables(cell)
    ]
    if not frames:
        return pd.DataFrame({name: pd.Series(dtype=_KINDS.get(name, object)) for name in ROWS})
    kept = [frame.reindex(columns=list(ROWS)) for frame in frames]
    stacked = pd.DataFrame(pd.concat(kept, ignore_index=True))
    return stacked.astype(_KINDS)


def _tables(cell: CellInfo) -> list[pd.DataFrame]:
    if not cell.done:
        return []
    return [table for name in ("results", "costs") if len(table := cell.tables[name])]
