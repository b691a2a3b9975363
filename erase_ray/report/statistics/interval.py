"""An estimate with the range that the data leave open."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Args:
        estimate: The number itself, exactly as the tables report it; NaN if it is not defined.
        low: Lower end; NaN if the data cannot bound the estimate.
        high: Upper end.
        level: Nominal coverage, such as 0.95.
        num_users: Different users with at least one value.
        num_seeds: Seeds; with 1 the interval knows nothing of how much training runs differ.
        resamples: Bootstrap resamples behind the ends; 0 if there are none.
        reason: Why a part is NaN; empty if nothing is.
    """

    estimate: float
    low: float
    high: float
    level: float
    num_users: int
    num_seeds: int
    resamples: int
    reason: str = ""

    @property
    def is_bounded(self) -> bool:
        """True if both ends are finite numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def excludes(self, value: float) -> bool:
        """True if ``value`` lies outside; never for an interval without ends."""
        return self.is_bounded and not self.low <= value <= self.high

    def is_within(self, margin: float) -> bool:
        """True if the whole interval lies strictly between ``-margin`` and ``margin``."""
        return self.is_bounded and -margin < self.low and self.high < margin
