"""Two-level bootstrap over seeds and users: means, paired differences and the closed gap.

Every estimate is the number that the tables report: the mean over the queries of a seed, averaged
over seeds. See docs/statistics.md for what the ends mean and how often they hold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.clusters import Clusters, gather
from erase_ray.report.statistics.confidence import Bounds, Confidence
from erase_ray.report.statistics.interval import Interval
from erase_ray.report.statistics.resampling import resampled_means
from erase_ray.report.statistics.variance import Spread, spread

LEVEL, RESAMPLES = 0.95, 2000


def means(
    values: pd.DataFrame,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> Interval:
    """Mean of ``a`` over the queries of a seed, averaged over seeds.

    Args:
        values: Columns ``seed``, ``user``, ``a``; one row a query or one a user. Rows without a
            number are left out.
        level: Nominal coverage.
        resamples: Bootstrap resamples.
        seed: Of the resampling; the same values and seed give the same interval.
        bounds: Smallest and largest possible value, such as ``(0, 1)`` for a share. Without them
            there are no ends if all users have the same value.

    Raises:
        DataError: If a column is missing.
        SettingsError: If ``level`` or ``resamples`` is out of range.
    """
    sample = Sample.draw(gather(values, ["a"]), resamples, seed)
    return sample.confidence(_MEAN, bounds).interval(level)


def paired_means(
    values: pd.DataFrame,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> Interval:
    """Mean of ``a`` minus mean of ``b`` on the same queries, averaged over seeds.

    Args:
        values: Columns ``seed``, ``user``, ``a``, ``b``; one row a query or one a user. Rows that
            lack one of the two numbers are left out.
        level: Nominal coverage.
        resamples: Bootstrap resamples.
        seed: Of the resampling.
        bounds: Smallest and largest possible value of ``a`` and ``b``. Without them there are no
            ends if all users have the same difference.

    Raises:
        DataError: If a column is missing.
        SettingsError: If ``level`` or ``resamples`` is out of range.
    """
    return paired_confidence(values, resamples, seed, bounds).interval(level)


def closed_gap(
    values: pd.DataFrame, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Share of the way from the original to the retrained model that a method has gone.

    ``(mean original − mean method) / (mean original − mean retrained)``: 0 is the original model,
    1 the retrained one. If the interval of the denominator includes 0 there is no way to take a
    share of: everything is NaN, and ``reason`` says why.

    Args:
        values: Columns ``seed``, ``user``, ``method``, ``original``, ``retrained``; one row a query
            or one a user. Rows that lack one of the three numbers are left out.
        level: Nominal coverage, of the denominator's interval as well.
        resamples: Bootstrap resamples.
        seed: Of the resampling.

    Raises:
        DataError: If a column is missing.
        SettingsError: If ``level`` or ``resamples`` is out of range.
    """
    sample = Sample.draw(gather(values, ["method", "original", "retrained"]), resamples, seed)
    gap = sample.confidence(_GAP).interval(level)
    if gap.excludes(0):
        return sample.confidence(_CLOSED).interval(level)
    why = gap.reason or f"it is {gap.estimate:.3g} [{gap.low:.3g}, {gap.high:.3g}]"
    reason = f"no gap between original and retrained to close: {why}"
    sizes = gap.num_users, gap.num_seeds, gap.resamples
    return Interval(math.nan, math.nan, math.nan, level, *sizes, reason)


def paired_confidence(
    values: pd.DataFrame, resamples: int, seed: int, bounds: Bounds | None = None
) -> Confidence:
    """Confidence distribution of the mean difference ``a`` − ``b``; arguments of `paired_means`."""
    sample = Sample.draw(gather(values, ["a", "b"]), resamples, seed)
    if bounds is not None:
        bounds = bounds[0] - bounds[1], bounds[1] - bounds[0]
    return sample.confidence(_DIFFERENCE, bounds)


@dataclass(frozen=True)
class _Statistic:
    """A number made of the means of the value columns, with its derivative; ``(..., V)`` each."""

    value: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """The data and the means of its resamples, shape ``(R, V)``."""

    clusters: Clusters
    means_RV: np.ndarray

    @classmethod
    def draw(cls, clusters: Clusters, resamples: int, seed: int) -> "Sample":
        """Resample, if there is anything to draw from."""
        if resamples < 1:
            raise SettingsError(f"resamples is {resamples}; a number from 1 is expected")
        if clusters.num_users < 2 or not clusters.is_finite:
            return cls(clusters, np.empty((0, clusters.sums_SVU.shape[1])))
        return cls(clusters, resampled_means(clusters, resamples, seed))

    def confidence(self, statistic: _Statistic, bounds: Bounds | None = None) -> Confidence:
        """Confidence distribution of a statistic."""
        sizes = self.clusters.num_users, self.clusters.num_seeds
        nothing = np.empty(0), Spread(math.nan, math.nan)
        if not sizes[0]:
            return Confidence(math.nan, *nothing, *sizes, reason="no values")
        if not self.clusters.is_finite:
            return Confidence(math.nan, *nothing, *sizes, reason="infinite values")
        means_V = self.clusters.means_SV.mean(axis=0)
        estimate = float(statistic.value(means_V))
        if sizes[0] == 1:
            return Confidence(estimate, *nothing, *sizes, reason="one user only")
        draws_R = _finite(statistic.value(self.means_RV))
        error = spread(self.clusters, statistic.gradient(means_V))
        reason = ""
        if error.error == 0 and bounds is None:
            reason = f"all {sizes[0]} users have the same value, and what others have is not known"
        elif 2 * len(draws_R) < len(self.means_RV):
            reason = "too few users a seed to resample"
        return Confidence(estimate, draws_R, error, *sizes, bounds, reason)


def _finite(draws_R: np.ndarray) -> np.ndarray:
    return np.sort(draws_R[np.isfinite(draws_R)])


def _linear(*weights: float) -> _Statistic:
    row = np.array(weights)
    return _Statistic(lambda means_V: means_V @ row, lambda means_V: row)


def _closed(means_V: np.ndarray) -> np.ndarray:
    method, original, retrained = np.moveaxis(means_V, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (original - method) / (original - retrained)


def _closed_gradient(means_V: np.ndarray) -> np.ndarray:
    share = _closed(means_V)
    return np.array([-1, 1 - share, share]) / (means_V[1] - means_V[2])


_MEAN = _linear(1)
_DIFFERENCE = _linear(1, -1)
_GAP = _linear(0, 1, -1)
_CLOSED = _Statistic(_closed, _closed_gradient)
