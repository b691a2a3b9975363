"""One row a method and combination of dataset, model and scenario, after all requests."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.by_mark import IDENTITY
from erase_ray.report.measured import LAST, summary_rows
from erase_ray.report.options import BY_CHANCE, FORGETTING, UTILITY
from erase_ray.report.panels import RETRAIN, Panel
from erase_ray.report.statistics import Interval
from erase_ray.report.verdicts import Comparison, Judgement

AUDITS = ("rmia", "ulira")
"""Privacy audits, the one that is shown first where both are there."""
SIMILARITY = ("rbo", "kl", "parameter_distance", "drift", "completeness")
PRIVACY = ("auc", "auc_low", "auc_high")

Values = Mapping[tuple[str, str, str, int], float]
"""Means of the last mark by panel, series, metric and cut-off."""

COLUMNS: dict[str, str] = {
    **dict.fromkeys(IDENTITY, "string"),
    "fraction": "float64",
    "num_seeds": "Int64",
    "utility": "float64",
    "utility_original": "float64",
    "utility_retrained": "float64",
    "utility_kept": "float64",
    "utility_difference": "float64",
    "utility_low": "float64",
    "utility_high": "float64",
    "utility_margin": "float64",
    "utility_p_value": "float64",
    "utility_verdict": "string",
    "utility_reason": "string",
    "recall_20": "float64",
    "shown": "float64",
    "shown_original": "float64",
    "shown_retrained": "float64",
    "shown_by_chance": "float64",
    "forgetting_difference": "float64",
    "forgetting_low": "float64",
    "forgetting_high": "float64",
    "forgetting_margin": "float64",
    "forgetting_p_value": "float64",
    "forgetting_verdict": "string",
    "forgetting_reason": "string",
    "closed_gap": "float64",
    "closed_low": "float64",
    "closed_high": "float64",
    "closed_reason": "string",
    **{f"similarity_{name}": "float64" for name in SIMILARITY},
    "privacy_audit": "string",
    **{f"privacy_{name}": "float64" for name in PRIVACY},
    "privacy_auc_retrained": "float64",
    "seconds_request": "float64",
    "seconds_training": "float64",
    "seconds_retraining": "float64",
    "speedup": "float64",
    "applied": "Int64",
    "requests": "Int64",
    "is_partial": "bool",
    "cells": "string",
}
"""Columns of the leaderboard and their types; docs/report.md says what each means."""


def leaderboard(
    panels: Sequence[Panel],
    identity: pd.DataFrame,
    means: pd.DataFrame,
    audits: pd.DataFrame,
    compared: Mapping[str, Mapping[str, Comparison]],
) -> pd.DataFrame:
    """The leaderboard.

    Args:
        panels: In the order of the rows.
        identity: What each series is.
        means: From :func:`by_mark.by_mark`.
        audits: The same of the audits.
        compared: By panel and series.
    """
    values, found = _values(means), _values(audits)
    named = {(row["panel"], row["series"]): row for row in identity.to_dict("records")}
    rows = []
    for row in summary_rows(panels):
        panel, series = row.panel.id, row.series.name
        comparison = compared.get(panel, {}).get(series)
        rows.append(
            {key: named[panel, series][key] for key in IDENTITY}
            | {"num_seeds": len({c.settings["seed"] for c in row.series.cells if c.done})}
            | _utility(values, row.panel, series, comparison)
            | _forgetting(values, row.panel, series, comparison)
            | _audited(found, row.panel, series)
            | _work(row, values)
            | {"cells": " ".join(cell.key for cell in row.series.cells if cell.done)}
        )
    return typed(pd.DataFrame(rows, columns=list(COLUMNS)), COLUMNS)


def typed(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """``frame`` with exactly these columns and types."""
    return frame.reindex(columns=list(columns)).astype(dict(columns))


def _values(means: pd.DataFrame) -> dict[tuple[str, str, str, int], float]:
    last = means[means["mark"] == LAST]
    keys = zip(last["panel"], last["series"], last["metric"], last["k"], strict=True)
    return dict(zip(keys, last["mean"].tolist(), strict=True))


def _get(values: Values, panel: Panel, series: str, metric: str, k: int) -> float:
    return values.get((panel.id, series, metric, k), math.nan)


def name_of(panel: Panel, method: str) -> str:
    """Name of the series of a reference in a panel."""
    return next((s.name for s in panel.series if s.method == method), method)


def _utility(
    values: Values, panel: Panel, series: str, comparison: Comparison | None
) -> dict[str, Any]:
    own = _get(values, panel, series, *UTILITY)
    retrained = _get(values, panel, name_of(panel, RETRAIN), *UTILITY)
    found = {
        "utility": own,
        "utility_original": _get(values, panel, name_of(panel, ORIGINAL), *UTILITY),
        "utility_retrained": retrained,
        "utility_kept": own / retrained if retrained else math.nan,
        "utility_difference": own - retrained,
        "recall_20": _get(values, panel, series, "recall", 20),
    }
    return found | _judged("utility", comparison.utility if comparison else None)


def _forgetting(
    values: Values, panel: Panel, series: str, comparison: Comparison | None
) -> dict[str, Any]:
    own = _get(values, panel, series, *FORGETTING)
    retrained = _get(values, panel, name_of(panel, RETRAIN), *FORGETTING)
    found = {
        "shown": own,
        "shown_original": _get(values, panel, name_of(panel, ORIGINAL), *FORGETTING),
        "shown_retrained": retrained,
        "shown_by_chance": _get(values, panel, series, BY_CHANCE, FORGETTING[1]),
        "forgetting_difference": own - retrained,
    }
    found |= _judged("forgetting", comparison.forgetting if comparison else None)
    closed = comparison.closed if comparison else None
    if closed is not None:
        found |= _bounds("closed", closed)
        found |= {"closed_gap": closed.estimate, "closed_reason": closed.reason}
    return found


def _judged(name: str, judgement: Judgement | None) -> dict[str, Any]:
    """Interval and verdict; of a reference, nothing."""
    if judgement is None:
        return {}
    found: dict[str, Any] = {
        f"{name}_verdict": judgement.verdict,
        f"{name}_reason": judgement.reason,
    }
    if judgement.test and judgement.difference:
        found |= _bounds(name, judgement.difference)
        found |= {
            f"{name}_difference": judgement.difference.estimate,
            f"{name}_margin": judgement.test.margin,
            f"{name}_p_value": judgement.test.p_value,
        }
    return found


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _audited(found: Values, panel: Panel, series: str) -> dict[str, Any]:
    similar = {f"similarity_{name}": _similarity(found, panel, series, name) for name in SIMILARITY}
    for audit in AUDITS:
        values = {name: _get(found, panel, series, f"{audit}.{name}", 0) for name in PRIVACY}
        if not math.isnan(values["auc"]):
            retrained = _get(found, panel, name_of(panel, RETRAIN), f"{audit}.auc", 0)
            named = {f"privacy_{name}": value for name, value in values.items()}
            return similar | named | {"privacy_audit": audit, "privacy_auc_retrained": retrained}
    return similar


def _similarity(found: Values, panel: Panel, series: str, name: str) -> float:
    tried = (_get(found, panel, series, f"similarity.{name}", k) for k in (20, 0))
    return next((value for value in tried if not math.isnan(value)), math.nan)


def _work(row: Any, values: Values) -> dict[str, Any]:
    trained = "seconds_training" if row.is_training else "seconds_request"
    reference = row.seconds * row.speedup if row.speedup and row.seconds else math.nan
    return {
        trained: row.seconds,
        "seconds_retraining": reference,
        "speedup": row.speedup,
        "applied": row.applied,
        "requests": row.total,
        "is_partial": row.is_partial,
    }
