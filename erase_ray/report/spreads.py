"""Question (c): which methods are steadier?"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erase_ray.report.families import GENERAL, SPECIFIC
from erase_ray.report.measured import LAST
from erase_ray.report.options import Options
from erase_ray.report.picking import aggregated, pick
from erase_ray.report.statistics import Interval
from erase_ray.report.units import (
    MIN_UNITS,
    Number,
    by_combination,
    no_interval,
    of_families,
    paired_interval,
    percentiles,
    too_few,
)
from erase_ray.seeds import numpy_generator


def compared_spreads(relative: pd.DataFrame, options: Options) -> list[Number]:
    """Spread of relative utility: recommender-specific minus general-purpose methods.

    Over the marks of a series and seed, over seeds at the last mark, and of the means of datasets
    and of model families at the last mark. Spread is the standard deviation, in percent.
    """
    last = pick(relative, relative["mark"] == LAST)
    within = {
        "marks": _spread(relative, ["panel", "series", "family", "seed"]),
        "seeds": _spread(last, ["panel", "series", "family"]),
    }
    between = {"datasets": "dataset", "model families": "model_family"}
    found = {what: _within(rows, options) for what, rows in within.items()}
    found |= {what: _between(last, what, column, options) for what, column in between.items()}
    return [
        Number(
            "c",
            f"spread over {what}, recommender-specific minus general-purpose methods",
            interval,
            "%",
        )
        for what, interval in found.items()
    ]


def _spread(relative: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return aggregated(relative, keys, "off", "std").dropna()


def _within(rows: pd.DataFrame, options: Options) -> Interval:
    specific, general = (
        by_combination(of_families(rows, kind), "off") for kind in (SPECIFIC, GENERAL)
    )
    return paired_interval(specific, general, options)


def _between(last: pd.DataFrame, what: str, column: str, options: Options) -> Interval:
    """The difference of spreads, combinations being resampled."""
    wide = aggregated(last, ["panel", column, "series", "family"], "off")
    panels = sorted(set(wide["panel"]))
    if reason := _lacking(wide, what, column, len(panels)):
        return no_interval(len(panels), reason, options)
    table = _Table.of(wide, column)
    generator = numpy_generator(0, "report", "spread", what)
    drawn = generator.multinomial(len(panels), [1 / len(panels)] * len(panels), options.resamples)
    estimate = float(table.gaps(np.ones((1, len(panels))))[0])
    return percentiles(estimate, table.gaps(drawn), len(panels), options)


def _lacking(wide: pd.DataFrame, what: str, column: str, count: int) -> str:
    if reason := too_few(count):
        return reason
    families = set(wide["family"])
    if not families & {*SPECIFIC} or not families & {*GENERAL}:
        return "one of the two kinds of methods is missing"
    levels = len(set(wide[column]))
    if levels < MIN_UNITS:
        return f"of the {MIN_UNITS} {what} that are needed, {levels} can be compared"
    return ""


@dataclass(frozen=True, eq=False)
class _Table:
    """Relative utility by combination (P), method (M) and level (L); NaN where there is none.

    Args:
        off_PML: The values.
        is_specific_M: True for recommender-specific methods.
        is_general_M: True for general-purpose methods.
    """

    off_PML: np.ndarray
    is_specific_M: np.ndarray
    is_general_M: np.ndarray

    @classmethod
    def of(cls, wide: pd.DataFrame, column: str) -> "_Table":
        """The table of rows with ``panel``, ``series``, ``family``, ``column`` and ``off``."""
        places, names = zip(
            *(pd.factorize(wide[name], sort=True) for name in ("panel", "series", column)),
            strict=True,
        )
        off_PML = np.full([len(name) for name in names], np.nan)
        off_PML[places] = wide["off"].to_numpy(float)
        family = dict(zip(wide["series"].tolist(), wide["family"].tolist(), strict=True))
        families = [family[name] for name in names[1]]
        return cls(off_PML, np.isin(families, SPECIFIC), np.isin(families, GENERAL))

    def gaps(self, times_RP: np.ndarray) -> np.ndarray:
        """Mean spread of recommender-specific methods minus that of general-purpose ones.

        Args:
            times_RP: How often each combination counts, by resample.
        """
        num_methods, num_levels = self.off_PML.shape[1:]
        flat_PX = self.off_PML.reshape(len(self.off_PML), -1)
        sums_RX = times_RP @ np.nan_to_num(flat_PX)
        counts_RX = times_RP @ np.isfinite(flat_PX).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of slices with fewer than two levels
            means_RML = (sums_RX / counts_RX).reshape(-1, num_methods, num_levels)
            spreads_RM = np.nanstd(means_RML, axis=2, ddof=1)
            specific_R = np.nanmean(spreads_RM[:, self.is_specific_M], axis=1)
            return specific_R - np.nanmean(spreads_RM[:, self.is_general_M], axis=1)
