"""How sure a share is that was counted over requests and models."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """How far an estimate may be off.

    Args:
        variance: Of the estimate.
        degrees: Degrees of freedom that the variance rests on.
        num_clusters: Independent units that were sampled.
    """

    variance: float
    degrees: float
    num_clusters: int


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval of 95 %; NaN where it cannot be told."""

    value: float
    low: float
    high: float

    @classmethod
    def unknown(cls) -> "Interval":
        """What cannot be told."""
        return cls(math.nan, math.nan, math.nan)

    @classmethod
    def of_share(cls, value: float, spread: Spread) -> "Interval":
        """The interval of Clopper and Pearson for as many trials as would spread like this.

        After Korn and Graubard, "Confidence intervals for proportions with small expected number
        of positive counts estimated from survey data", Survey Methodology 1998: the number of
        trials is reduced for a variance that rests on few degrees of freedom. It stays within 0
        and 1 and does not shrink to a point where all trials have one outcome; without variance,
        each cluster counts as one trial.

        Args:
            value: A share, 0 to 1.
            spread: Of that share.
        """
        if spread.num_clusters < 2:
            return cls(float(value), 0.0, 1.0)
        trials = float(spread.num_clusters)
        if spread.variance > 0 and 0 < value < 1:
            tail = (1 + LEVEL) / 2
            few = stats.norm.ppf(tail) / stats.t.ppf(tail, spread.degrees)
            trials = float(value * (1 - value) / spread.variance * few**2)
        return cls(float(value), *_clopper_pearson(value, trials))

    @property
    def has_half(self) -> bool:
        """Whether one half is inside; False where nothing can be told."""
        return self.low <= 0.5 <= self.high


def two_way(excess_RK: np.ndarray, excess_K: np.ndarray) -> Spread:
    """Spread of an estimate whose noise is shared by rows and by columns.

    Cameron, Gelbach and Miller, "Robust inference with multiway clustering", Journal of Business &
    Economic Statistics 2011: the variance clustered by rows, plus what the one clustered by columns
    has more than that by cells, if anything. Degrees of freedom after Satterthwaite, "An
    approximate distribution of estimates of variance components", Biometrics Bulletin 1946.

    Args:
        excess_RK: First-order influence of each cell on the estimate (its infinitesimal
            jackknife), shape ``(R, K)``.
        excess_K: The same of each column, shape ``(K,)``.
    """
    rows, columns = (max(count - 1, 1) for count in excess_RK.shape)
    by_rows = np.square(excess_RK.sum(axis=1)).sum() * (rows + 1) / rows
    by_columns = np.square(excess_K).sum() * (columns + 1) / columns
    more = by_columns - np.square(excess_RK).sum()
    if more <= 0:
        return Spread(float(by_rows), rows, len(excess_RK))
    degrees = (by_rows + more) ** 2 / (by_rows**2 / rows + by_columns**2 / columns)
    return Spread(float(by_rows + more), float(degrees), len(excess_RK))


def _clopper_pearson(value: float, trials: float) -> tuple[float, float]:
    hits, tail = value * trials, (1 - LEVEL) / 2
    low = 0.0 if value <= 0 else stats.beta.ppf(tail, hits, trials - hits + 1)
    high = 1.0 if value >= 1 else stats.beta.ppf(1 - tail, hits + 1, trials - hits)
    return float(low), float(high)
