"""Two one-sided tests: is a method as good as retraining, to within a margin?

Source: Schuirmann: "A comparison of the two one-sided tests procedure and the power approach for
assessing the equivalence of average bioavailability", J. Pharmacokinet. Biopharm. 15, 1987.
"""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.bootstrap import RESAMPLES, paired_confidence
from erase_ray.report.statistics.confidence import Bounds
from erase_ray.report.statistics.interval import Interval

Verdict = Literal["equivalent to retraining", "better", "worse", "unknown"]


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests (TOST).

    Args:
        p_value: The larger of the two one-sided p-values, below alpha exactly if ``equivalent``; no
            smaller than one over the number of resamples, NaN if there is nothing to test.
        difference: Mean of ``a`` minus mean of ``b``, at level 1 − 2·alpha.
        margin: A difference below it, in either direction, does not matter.
        equivalent: True if all of ``difference`` lies between −margin and margin.
        two_sided: The same difference at level 1 − alpha, to tell better from worse.
    """

    p_value: float
    difference: Interval
    margin: float
    equivalent: bool
    two_sided: Interval


def tost(
    values: pd.DataFrame,
    margin: float,
    *,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: Bounds | None = None,
) -> Equivalence:
    """Test whether mean ``a`` and mean ``b`` differ by less than ``margin``.

    Args:
        values: Columns ``seed``, ``user``, ``a`` (method) and ``b`` (retrained); one row a query or
            one a user.
        margin: Absolute, in the units of the metric; above 0.
        alpha: How often a difference as large as the margin may pass for equivalence.
        resamples: Bootstrap resamples.
        seed: Of the resampling.
        bounds: Smallest and largest possible value of ``a`` and ``b``. Without them nothing is
            claimed if all users have the same difference.

    Raises:
        DataError: If a column is missing.
        SettingsError: If ``margin``, ``alpha`` or ``resamples`` is out of range.
    """
    if not 0 < margin < math.inf:
        raise SettingsError(f"margin is {margin}; a number above 0 is expected")
    if not 0 < alpha < 0.5:
        raise SettingsError(f"alpha is {alpha}; a number between 0 and 0.5 is expected")
    confidence = paired_confidence(values, resamples, seed, bounds)
    below, above = confidence.share_below(-margin), 1 - confidence.share_below(margin)
    difference = confidence.interval(1 - 2 * alpha)
    return Equivalence(
        p_value=math.nan if confidence.reason else max(below, above),
        difference=difference,
        margin=margin,
        equivalent=difference.is_within(margin),
        two_sided=confidence.interval(1 - alpha),
    )


def verdict(
    result: Equivalence | None, better: Literal["up", "down"], *, min_seeds: int = 2
) -> Verdict:
    """What the test says in words, of ``a`` against ``b``.

    Equivalence comes first: a difference that is certain but within the margin does not matter.

    Args:
        result: None if there is nothing to compare, which is "unknown".
        better: Direction in which the metric improves.
        min_seeds: With fewer seeds the verdict is "unknown", since the difference may be one of two
            trainings and not of two methods.
    """
    if result is None or result.difference.num_seeds < min_seeds:
        return "unknown"
    if result.equivalent:
        return "equivalent to retraining"
    if not result.two_sided.excludes(0):
        return "unknown"
    return "better" if (result.two_sided.low > 0) == (better == "up") else "worse"
