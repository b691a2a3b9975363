"""Standard error and degrees of freedom of a mean over seeds and users that cross.

Every seed ranks for the same users, so a mean is uncertain in two ways at once: other training
runs could have been made, and other users could have been asked.

Sources: Cameron, Gelbach, Miller: "Robust inference with multiway clustering", JBES 29, 2011;
Satterthwaite: "An approximate distribution of estimates of variance components", Biometrics 2,
1946.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from erase_ray.report.statistics.clusters import Clusters

_ROUNDING = 1e-12
_LIKE_NORMAL = 1e9


@dataclass(frozen=True)
class Spread:
    """How uncertain an estimate is.

    Args:
        error: Standard error; 0 if all users and seeds agree.
        freedom: Degrees of freedom of Student's t.
        seeds_error: Standard error over the seeds' means alone; 0 for one seed.
        seeds_freedom: One less than there are seeds.
    """

    error: float
    freedom: float
    seeds_error: float = 0.0
    seeds_freedom: int = 0

    def distance(self, share: float) -> float:
        """How far from the estimate, with its sign, the truth is below with confidence ``share``.

        Never closer than by the seeds' means alone: with two or three seeds, ``freedom`` is too
        high whenever these happen to be close to each other.
        """
        both = _student(self.freedom, share) * self.error
        if not self.seeds_freedom:
            return both
        return max(both, _student(self.seeds_freedom, share) * self.seeds_error, key=abs)


def spread(clusters: Clusters, gradient_V: np.ndarray) -> Spread:
    """Two-way standard error of a smooth function of the means.

    With one seed only users vary. With several, the variance of the seeds' means holds all that
    differs between runs; what they share, because the same users are easy or hard in each, is the
    covariance of the seeds over users and comes on top (nothing if it is negative).

    Args:
        clusters: Two or more users.
        gradient_V: Derivative of the function at the means of the value columns.
    """
    residuals_SU = _residuals(clusters, gradient_V)
    num_seeds, num_users = residuals_SU.shape
    total = float(np.square(residuals_SU.sum(axis=0)).sum())
    if num_seeds == 1:
        between, shared = 0.0, total
    else:
        between = float((clusters.means_SV @ gradient_V).var(ddof=1)) / num_seeds
        own = float(np.square(residuals_SU).sum())
        shared = max(0.0, total - own) / (num_seeds * (num_seeds - 1))
    shared *= num_users / (num_users - 1)
    variance = between + shared
    if math.sqrt(variance) <= _ROUNDING * _largest(clusters, gradient_V):
        return Spread(0.0, math.inf)
    doubt = between**2 / max(1, num_seeds - 1) + shared**2 / (num_users - 1)
    return Spread(
        math.sqrt(variance), variance**2 / doubt, math.sqrt(between), max(0, num_seeds - 1)
    )


def _residuals(clusters: Clusters, gradient_V: np.ndarray) -> np.ndarray:
    """What each user moves the mean of a seed by, shape ``(S, U)``; sums to 0 over users."""
    sums_SU = np.tensordot(gradient_V, clusters.sums_SVU, axes=(0, 1))
    means_S = clusters.means_SV @ gradient_V
    counts_SU = clusters.counts_SU
    residuals_SU = sums_SU - means_S[:, None] * counts_SU
    return residuals_SU / counts_SU.sum(axis=1, keepdims=True)


def _largest(clusters: Clusters, gradient_V: np.ndarray) -> float:
    """The size of the numbers, for what rounding can do to them."""
    return float(np.abs(clusters.means_SV).max(axis=0) @ np.abs(gradient_V))


def _student(freedom: float, share: float) -> float:
    """Quantile of Student's t."""
    return float(ndtri(share)) if freedom > _LIKE_NORMAL else float(stdtrit(freedom, share))
