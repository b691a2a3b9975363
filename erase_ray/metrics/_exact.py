"""Sums of floats that are exact before they are rounded, so that their order has no influence."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

HIGH_BITS, LOW_BITS = 26, 27
"""The 53 bits of a float's mantissa, in two parts whose sums stay exact as floats."""
MOST = 1 << (53 - LOW_BITS)
"""Numbers that can be added at once."""


@dataclass(eq=False)
class ExactSum:
    """Sum and number of some floats.

    Args:
        parts: Integers by exponent; the sum is that of all ``parts[e] * 2**e``.
        count: How many floats it is the sum of.
    """

    parts: Counter[int] = field(default_factory=Counter)
    count: int = 0

    def merge(self, other: "ExactSum") -> None:
        """Add the floats of another sum."""
        for exponent, part in other.parts.items():
            self.parts[exponent] += part
        self.count += other.count

    @property
    def total(self) -> float:
        """The sum, rounded once; the same as that of :func:`math.fsum`."""
        lowest = min(self.parts, default=0)
        whole = sum(part << (exponent - lowest) for exponent, part in self.parts.items())
        # the division of integers is rounded correctly, also below the smallest normal number
        return float(whole << lowest) if lowest >= 0 else whole / (1 << -lowest)

    @property
    def mean(self) -> float:
        """Sum over count; NaN for a sum of nothing."""
        return self.total / self.count if self.count else math.nan


def exact_sums(values_Q: np.ndarray, class_Q: np.ndarray, num_classes: int) -> list[ExactSum]:
    """The sum of the values of each class; NaN is left out.

    Args:
        values_Q: float64, shape ``(Q,)``, none of them infinite.
        class_Q: From 0 to ``num_classes - 1``, integers, shape ``(Q,)``.
        num_classes: Length of the list that is returned.
    """
    sums = [ExactSum() for _ in range(num_classes)]
    is_counted = ~np.isnan(values_Q)
    if not is_counted.all():
        values_Q, class_Q = values_Q[is_counted], class_Q[is_counted]
    for start in range(0, len(values_Q), MOST):
        _add(sums, values_Q[start : start + MOST], class_Q[start : start + MOST])
    return sums


def _add(sums: list[ExactSum], values_Q: np.ndarray, class_Q: np.ndarray) -> None:
    mantissa_Q, exponent_Q = np.frexp(values_Q)
    scaled_Q = mantissa_Q * (1 << HIGH_BITS)
    high_Q = np.trunc(scaled_Q)
    low_Q = (scaled_Q - high_Q) * (1 << LOW_BITS)
    lowest, highest = int(exponent_Q.min()), int(exponent_Q.max())
    width = highest - lowest + 1
    bin_Q = class_Q * width + (exponent_Q - lowest)
    shape = (len(sums), width)
    high, low = (_binned(bin_Q, part_Q, shape) for part_Q in (high_Q, low_Q))
    counts = np.bincount(class_Q, minlength=len(sums))
    for number, one in enumerate(sums):
        one.count += int(counts[number])
        for place in np.flatnonzero((high[number] != 0) | (low[number] != 0)):
            whole = (int(high[number, place]) << LOW_BITS) + int(low[number, place])
            one.parts[lowest + int(place) - HIGH_BITS - LOW_BITS] += whole


def _binned(bin_Q: np.ndarray, weight_Q: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(bin_Q, weight_Q, minlength=shape[0] * shape[1]).reshape(shape)
