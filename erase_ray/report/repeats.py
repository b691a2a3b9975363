"""Question (b): do repeated requests hurt some methods more than others?"""

import numpy as np
import pandas as pd

from erase_ray.report.families import GENERAL, SEQUENTIAL, SPECIFIC
from erase_ray.report.measured import MARKS
from erase_ray.report.options import Options
from erase_ray.report.picking import groups, pick
from erase_ray.report.units import (
    Number,
    by_combination,
    mean_interval,
    of_families,
    paired_interval,
    unpaired_interval,
)

UNIT = "% a mark"


def slopes(relative: pd.DataFrame) -> pd.DataFrame:
    """Least-squares slope of relative utility over the marks, in percent a mark.

    Args:
        relative: From :func:`findings.relative_differences`.

    Returns:
        One row a series and seed that has all marks; the column is ``slope``.
    """
    keys = ["panel", "series", "family", "model_family", "seed"]
    wide = relative.pivot_table(index=keys, columns="mark", values="off").reindex(columns=MARKS)
    wide = wide.dropna()
    centred = np.array(MARKS) - np.mean(MARKS)
    slope = wide.to_numpy(float) @ centred / (centred**2).sum() if len(wide) else np.zeros(0)
    return wide.reset_index().reindex(columns=keys).assign(slope=slope)


def compared_slopes(relative: pd.DataFrame, options: Options) -> tuple[Number, Number]:
    """General-purpose against recommender-specific methods; sequential against other models."""
    found = slopes(relative)
    general, specific = of_families(found, GENERAL), of_families(found, SPECIFIC)
    is_sequential = general["model_family"].isin(list(SEQUENTIAL))
    methods = paired_interval(
        by_combination(general, "slope"), by_combination(specific, "slope"), options
    )
    models = unpaired_interval(
        by_combination(pick(general, is_sequential), "slope"),
        by_combination(pick(general, ~is_sequential), "slope"),
        options,
    )
    return (
        Number(
            "b",
            "slope of general-purpose methods minus that of recommender-specific ones",
            methods,
            UNIT,
        ),
        Number(
            "b",
            "slope of general-purpose methods: attention and recurrent models minus others",
            models,
            UNIT,
        ),
    )


def slopes_by_family(relative: pd.DataFrame, options: Options) -> list[Number]:
    """The mean slope of each family of methods on each family of models."""
    return [
        Number(
            "b",
            "change of relative utility from mark to mark",
            mean_interval(by_combination(rows, "slope"), options),
            UNIT,
            str(family),
            str(model),
        )
        for (family, model), rows in groups(slopes(relative), ["family", "model_family"])
    ]
