"""From the scores of a membership attack to findings, and what such attacks share."""

import numpy as np

from erase_ray.audits import _roc
from erase_ray.audits._base import Finding, Observations
from erase_ray.audits._interval import Interval
from erase_ray.audits._roc import Attack

RATES = (0.001, 0.01)
"""False positive rates at which the true positive rate is told."""
LOWEST = float(np.log(np.finfo(np.float64).tiny))
HIGHEST = -float(np.finfo(np.float64).eps)
"""Bounds of a log-probability: the smallest positive number, and the largest below one."""


def bounded(log_p: np.ndarray) -> np.ndarray:
    """Log-probabilities with those of 0 and of 1 moved inside, so that log-odds are finite."""
    return np.clip(log_p, LOWEST, HIGHEST)


def findings(score_KN: np.ndarray, observations: Observations) -> list[Finding]:
    """What an attack tells that gives each example a score in each model.

    Args:
        score_KN: Higher where an example looks more like one that was in, shape ``(K, N)``.
        observations: Say which examples were.

    Returns:
        Area under the curve, the leak that it means whichever way it points, whether one half is
        inside its interval, true positive rates at low false positive rates, each with the ends of
        its interval, and the numbers of scores of either kind.
    """
    attack = Attack(score_KN, observations.member_KN, observations.request_N)
    area = _roc.auc(attack)
    scores = score_KN.size
    found = _ends("auc", area, scores) + _ends("leak", leak(area), scores)
    at_chance = np.nan if np.isnan(area.value) else float(area.has_half)
    found.append(Finding("at_chance", at_chance, scores, "flag", "up"))
    for rate in RATES:
        found += _ends(f"tpr_at_fpr_{rate:g}", _roc.tpr_at(attack, rate), attack.num_out)
    for name, count in (("n_in", attack.num_in), ("n_out", attack.num_out)):
        found.append(Finding(name, float(count), count, "examples", "up"))
    return found


def leak(area: Interval) -> Interval:
    """``|2 auc - 1|``: 0 at chance, 1 where every pair is told apart, in whichever direction."""
    ends = [abs(2 * end - 1) for end in (area.low, area.high)]
    low = 0.0 if area.has_half else min(ends)
    return Interval(abs(2 * area.value - 1), low, max(ends))


def _ends(name: str, interval: Interval, n: int) -> list[Finding]:
    values = {"": interval.value, "_low": interval.low, "_high": interval.high}
    return [Finding(name + end, value, n) for end, value in values.items()]
