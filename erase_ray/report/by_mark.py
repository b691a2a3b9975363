"""Means over seeds of every metric at every mark, as a typed frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from erase_ray.report.families import method_family, model_family
from erase_ray.report.panels import RETRAIN, Panel
from erase_ray.report.picking import pick
from erase_ray.report.rows import PLACE

IDENTITY = (
    "task",
    "dataset",
    "model",
    "model_family",
    "scenario",
    "category",
    "fraction",
    "combination",
    "method",
    "family",
    "variant",
)
"""Columns that say what a row is about; ``combination`` tells apart what has the same names."""
COST_PREFIXES = ("seconds_", "gpu_", "cpu_", "peak_", "energy_")
_WHAT = ["metric", "k", "mark"]
_NUMBERS = (
    *("unit", "better", "mean", "sd", "low", "high", "num_seeds", "n"),
    *("retrained", "difference", "cells"),
)
_FLOATS = ("fraction", "mean", "sd", "low", "high", "retrained", "difference")
_INTEGERS = ("k", "mark", "num_seeds", "n")
_KINDS: dict[str, Any] = dict.fromkeys(map(str, _FLOATS), float)
_KINDS |= dict.fromkeys(map(str, _INTEGERS), int)
LEVEL = 0.95


def identity_frame(panels: Sequence[Panel]) -> pd.DataFrame:
    """One row a series: ``PLACE`` and ``IDENTITY``."""
    rows = [
        {
            "panel": panel.id,
            "series": series.name,
            "task": panel.task,
            "dataset": panel.dataset,
            "model": panel.model,
            "model_family": model_family(panel.model),
            "scenario": panel.scenario_title,
            "category": panel.category,
            "fraction": panel.fraction,
            "combination": panel.title,
            "method": series.name,
            "family": method_family(series.method),
            "variant": series.variant,
        }
        for panel in panels
        for series in panel.series
    ]
    frame = pd.DataFrame(rows, columns=[*PLACE, *IDENTITY])
    return frame.astype({"fraction": float})


def is_cost(means: pd.DataFrame) -> pd.Series:
    """True for rows whose metric says what something cost."""
    return means["metric"].astype(str).str.startswith(COST_PREFIXES)


def by_mark(rows: pd.DataFrame, identity: pd.DataFrame) -> pd.DataFrame:
    """One row a series, metric, cut-off and mark.

    Args:
        rows: From :func:`rows.measured_rows`.
        identity: From :func:`identity_frame`.

    Returns:
        ``PLACE``, ``IDENTITY``, ``metric``, ``k``, ``mark``, ``unit``, ``better``, ``mean`` (over
        seeds; NaN as soon as one is), ``sd``, ``low`` and ``high`` (95 % t-interval over seeds;
        NaN with one), ``num_seeds``, ``n`` (queries of all seeds), ``retrained`` (mean of the
        retrained model over the seeds that both have), ``difference`` and ``cells`` (keys).
    """
    if rows.empty:
        columns = [*PLACE, *IDENTITY, *_WHAT, *_NUMBERS]
        return pd.DataFrame({name: pd.Series(dtype=_KINDS.get(name, object)) for name in columns})
    keys = [*PLACE, *_WHAT]
    grouped = rows.groupby(keys, sort=False, dropna=False)
    found = grouped.agg(
        unit=("unit", "first"),
        better=("better", "first"),
        mean=("value", "mean"),
        sd=("value", "std"),
        known=("value", "count"),
        size=("value", "size"),
        num_seeds=("seed", "nunique"),
        n=("n", "sum"),
    ).reset_index()
    is_known = found["known"] == found["size"]  # an undefined seed makes the mean undefined
    found["mean"] = found["mean"].where(is_known)
    found["sd"] = found["sd"].where(found["num_seeds"] > 1, 0.0).where(is_known)
    found = found.drop(columns=["known", "size"])
    found = _bounded(found).merge(_against(rows), on=keys, how="left")
    found = found.merge(_cells(rows), on=[*PLACE, "mark"], how="left")
    named = identity.merge(found, on=PLACE, how="inner")
    return named.reindex(columns=[*PLACE, *IDENTITY, *_WHAT, *_NUMBERS])


def _bounded(found: pd.DataFrame) -> pd.DataFrame:
    count = found["num_seeds"].to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = stats.t.ppf((1 + LEVEL) / 2, count - 1)
    half = np.where(count > 1, reach * found["sd"] / np.sqrt(count), np.nan)
    return found.assign(low=found["mean"] - half, high=found["mean"] + half)


def _against(rows: pd.DataFrame) -> pd.DataFrame:
    """The retrained model's mean, and how far off a series is, over the seeds of both."""
    same = ["panel", *_WHAT, "seed"]
    is_retrain = rows["series"].astype(str).str.fullmatch(rf"{RETRAIN}(-\d+)?")
    retrained = pick(rows, is_retrain).drop_duplicates(same)[[*same, "value"]]
    both = rows.merge(retrained, on=same, suffixes=("", "_retrained"))
    both["difference"] = both["value"] - both["value_retrained"]
    grouped = both.groupby([*PLACE, *_WHAT], sort=False)
    found = grouped.agg({"value_retrained": "mean", "difference": "mean"}).reset_index()
    return found.rename(columns={"value_retrained": "retrained"})


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    pairs = rows.drop_duplicates([*PLACE, "mark", "cell"])
    joined = pairs.groupby([*PLACE, "mark"], sort=False).agg(cells=("cell", " ".join))
    return joined.reset_index()
