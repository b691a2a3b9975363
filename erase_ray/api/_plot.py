"""The figure of utility against forgetting."""

import io
import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from erase_ray.api.results import COMBINATION
from erase_ray.experiment.results import RETRAIN
from erase_ray.report.picking import groups, records

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which most people can tell apart."""
SHAPES = "osD^vPX<>p"
_TARGET = "#444444"


class Chart(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def draw(x: pd.DataFrame, y: pd.DataFrame, x_title: str, y_title: str) -> Chart:
    """One panel a combination.

    Args:
        x: Rows of results with the values of the horizontal axis.
        y: The same of the vertical axis.
        x_title: Of the horizontal axis.
        y_title: Of the vertical axis.
    """
    points = _points(x, y)
    panels = groups(points, COMBINATION)
    columns = min(3, max(len(panels), 1))
    lines = math.ceil(len(panels) / columns) or 1
    figure = Chart(figsize=(4.6 * columns, 3.8 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    series = sorted({*zip(points["method"], points["source"], strict=True)})
    looks = {name: place for place, name in enumerate(series)}
    for axes, (name, rows) in zip(grid, panels, strict=False):
        _panel(axes, rows, looks)
        axes.set_title(_title(name), fontsize=9)
        axes.set_xlabel(x_title)
        axes.set_ylabel(y_title)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure


def _points(x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each method: ``x``, ``x_sd``, ``y``, ``y_sd``."""
    keys = [*COMBINATION, "method", "source"]
    sides = []
    for name, rows in (("x", x), ("y", y)):
        found = rows.groupby(keys, dropna=False)["value"].agg(["mean", "std"])
        sides.append(found.set_axis([name, f"{name}_sd"], axis=1))
    return sides[0].join(sides[1], how="inner").reset_index()


def _panel(axes: Axes, rows: pd.DataFrame, looks: dict[Any, int]) -> None:
    several = len(set(rows["source"].tolist())) > 1
    for row in records(rows):
        look = looks[row["method"], row["source"]]
        is_target = row["method"] == RETRAIN
        colour = _TARGET if is_target else COLOURS[look % len(COLOURS)]
        if is_target:
            axes.axvline(row["x"], color=colour, lw=0.8, ls="--", zorder=0)
            axes.axhline(row["y"], color=colour, lw=0.8, ls="--", zorder=0)
        axes.errorbar(
            row["x"],
            row["y"],
            xerr=_bar(row["x_sd"]),
            yerr=_bar(row["y_sd"]),
            fmt="*" if is_target else SHAPES[look % len(SHAPES)],
            ms=12 if is_target else 7,
            color=colour,
            mfc="none" if row["source"] == "erase" else colour,
            capsize=2,
            label=f"{row['method']} ({row['source']})" if several else row["method"],
        )
    axes.margins(0.15)
    axes.legend(fontsize=7)


def _bar(sd: float) -> float | None:
    """The length of an error bar; none with one seed."""
    return None if pd.isna(sd) else float(sd)


def _title(name: Any) -> str:
    dataset, model, scenario, category, fraction = name
    what = f"{scenario}: {category}" if isinstance(category, str) and category else f"{scenario}"
    share = "" if pd.isna(fraction) else f" {fraction:g}"
    return f"{dataset} \u00d7 {model}\n{what}{share}"
