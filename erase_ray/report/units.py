"""Intervals over whole combinations of dataset, model and scenario."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from erase_ray.report.options import Options
from erase_ray.report.picking import aggregated, pick
from erase_ray.report.statistics import Interval, means, paired_means
from erase_ray.seeds import numpy_generator

MIN_UNITS = 3
"""Combinations below which nothing is concluded."""


@dataclass(frozen=True)
class Number:
    """A number behind an answer.

    Args:
        question: ``a``, ``b`` or ``c``.
        what: What it is.
        interval: Its ``num_users`` are combinations.
        unit: Of the number.
        method_family: Of the methods it is about; empty where it is about several.
        model_family: The same of the models.
    """

    question: str
    what: str
    interval: Interval
    unit: str
    method_family: str = ""
    model_family: str = ""

    @property
    def is_known(self) -> bool:
        """True if the interval has ends and rests on enough combinations."""
        return self.interval.is_bounded and self.interval.num_users >= MIN_UNITS

    @property
    def text(self) -> str:
        """The estimate with its interval."""
        found = self.interval
        return f"{found.estimate:+.2f} {self.unit} [{found.low:+.2f}, {found.high:+.2f}]"

    def sentence(self, lead: str) -> str:
        """What it says, or why it says nothing."""
        if not self.is_known:
            reason = self.interval.reason or "there are not enough numbers"
            return f"{lead}: unknown, as {reason}."
        zero = "excludes" if self.interval.excludes(0) else "includes"
        return f"{lead}: {self.text}, an interval that {zero} 0."


def of_families(rows: pd.DataFrame, families: Sequence[str]) -> pd.DataFrame:
    """The rows of methods of some families."""
    return pick(rows, rows["family"].isin(list(families)))


def by_combination(rows: pd.DataFrame, column: str) -> pd.Series:
    """One mean a combination, so that none counts more for having more methods or seeds."""
    found = aggregated(rows, ["panel"], column)
    return pd.Series(found[column].to_numpy(float), index=found["panel"])


def mean_interval(units: pd.Series, options: Options) -> Interval:
    """The mean of some combinations, which are resampled."""
    frame = pd.DataFrame({"seed": 0, "user": units.index, "a": units.to_numpy(float)})
    return _checked(means(frame, level=options.level, resamples=options.resamples))


def paired_interval(one: pd.Series, other: pd.Series, options: Options) -> Interval:
    """Mean difference over the combinations that both have."""
    both = pd.concat({"a": one, "b": other}, axis=1).dropna()
    frame = both.reset_index(drop=True).assign(seed=0, user=range(len(both)))
    return _checked(paired_means(frame, level=options.level, resamples=options.resamples))


def unpaired_interval(one: pd.Series, other: pd.Series, options: Options) -> Interval:
    """Difference of the means of two groups of combinations, each resampled by itself.

    ``num_users`` is the size of the smaller group.
    """
    count = min(len(one), len(other))
    if reason := too_few(count):
        return no_interval(count, reason, options)
    generator = numpy_generator(0, "report", "groups")
    draws = [
        generator.choice(group.to_numpy(float), (options.resamples, len(group))).mean(axis=1)
        for group in (one, other)
    ]
    estimate = float(one.to_numpy().mean() - other.to_numpy().mean())
    return percentiles(estimate, draws[0] - draws[1], count, options)


def percentiles(estimate: float, draws: np.ndarray, count: int, options: Options) -> Interval:
    """The percentile interval of resamples over ``count`` combinations; NaN is left out."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return no_interval(count, "no resample has a value", options)
    low, high = np.quantile(finite, [(1 - options.level) / 2, (1 + options.level) / 2])
    return Interval(estimate, float(low), float(high), options.level, count, 1, len(finite))


def no_interval(count: int, reason: str, options: Options) -> Interval:
    """An interval of which nothing is known."""
    return Interval(math.nan, math.nan, math.nan, options.level, count, 1, 0, reason)


def too_few(count: int) -> str:
    """Why ``count`` combinations are not enough; empty if they are."""
    if count >= MIN_UNITS:
        return ""
    many = "combination" if count == 1 else "combinations"
    return f"{count} {many} can be compared, {MIN_UNITS} are needed"


def direction(numbers: Sequence[Number]) -> str:
    """``yes`` where all intervals lie below 0, ``no`` where all lie above it."""
    known = [number.interval for number in numbers if number.is_known]
    if not known:
        return "unknown"
    far = "" if len(known) == len(numbers) else ", as far as it is known"
    below = sum(interval.high < 0 for interval in known)
    above = sum(interval.low > 0 for interval in known)
    if below == len(known):
        return f"yes{far}"
    if above == len(known):
        return f"no, the reverse{far}"
    if not below and not above:
        return "not shown"
    kinds = [f"yes in {below}"] * bool(below) + [f"the reverse in {above}"] * bool(above)
    return f"partly: {', '.join(kinds)} of {len(known)} comparisons"


def _checked(interval: Interval) -> Interval:
    """``interval`` over combinations, which says so where there are too few."""
    reason = too_few(interval.num_users) or interval.reason.replace("user", "combination")
    return replace(interval, reason=reason)
