"""The confidence distribution of an estimate, from which intervals and p-values are read alike."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.interval import Interval
from erase_ray.report.statistics.variance import Spread

Bounds = tuple[float, float]

_CENTRE = 0.975
_STEPS = 50
_ROUND_ZERO = 1e-9


@dataclass(frozen=True)
class Confidence:
    """Where the true value may be: bootstrap percentiles, moved outwards if seeds are few.

    The bootstrap of few seeds is too narrow (it takes five runs for all runs there could be). So
    its percentiles are pulled away from the estimate until the middle 95 % are as long as
    Student's t makes them, and left as they are if they are that long already.

    Args:
        estimate: The number itself.
        draws_R: The number in each resample, sorted.
        spread: Two-way standard error and Student's t.
        num_users: Different users.
        num_seeds: Seeds.
        bounds: Smallest and largest value that a user could have, if known; no end lies beyond.
            If all users have the same value, ``1 − alpha ** (1 / num_users)`` of all users could
            have any other and still none of them be among these (the "rule of three").
        reason: Why there are no ends; empty if there are.
    """

    estimate: float
    draws_R: np.ndarray
    spread: Spread
    num_users: int
    num_seeds: int
    bounds: Bounds | None = None
    reason: str = ""

    def interval(self, level: float) -> Interval:
        """The ends that leave out ``(1 − level) / 2`` on either side.

        Raises:
            SettingsError: If ``level`` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise SettingsError(f"level is {level}; a coverage between 0 and 1 is expected")
        low, high = self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)
        sizes = self.num_users, self.num_seeds, len(self.draws_R)
        return Interval(self.estimate, low, high, level, *sizes, self.reason)

    def quantile(self, share: float) -> float:
        """The value that the truth is below with confidence ``share``; NaN without ends."""
        if self.reason:
            return math.nan
        if self.spread.error == 0:
            return self._unseen(share)
        if self._scale == 0:
            return self._inside(self.estimate + self.spread.distance(share))
        distance = float(np.quantile(self.draws_R, share)) - self.estimate
        return self._inside(self.estimate + distance * self._stretch(share))

    def share_below(self, value: float) -> float:
        """The confidence that the truth is below ``value``: the inverse of `quantile`.

        Never closer to 0 or 1 than the number of resamples can show. NaN without ends.
        """
        if self.reason:
            return math.nan
        low = 1 / (len(self.draws_R) + 1)
        high = 1 - low
        if self.quantile(low) >= value:
            return low
        if self.quantile(high) < value:
            return high
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.quantile(middle) < value else (low, middle)
        return high

    @cached_property
    def _scale(self) -> float:
        """Standard error of the bootstrap, from its middle 95 %, which wild ratios leave alone."""
        low, high = np.quantile(self.draws_R, [1 - _CENTRE, _CENTRE])
        return float(high - low) / (2 * float(ndtri(_CENTRE)))

    def _stretch(self, share: float) -> float:
        normal = float(ndtri(share))
        if abs(normal) < _ROUND_ZERO:
            return 1.0
        return max(1.0, self.spread.distance(share) / (normal * self._scale))

    def _inside(self, end: float) -> float:
        return end if self.bounds is None else min(max(end, self.bounds[0]), self.bounds[1])

    def _unseen(self, share: float) -> float:
        if self.bounds is None:
            return math.nan
        end = self.bounds[share > 0.5]
        unseen = 1 - min(share, 1 - share) ** (1 / self.num_users)
        return self.estimate + unseen * (end - self.estimate)
