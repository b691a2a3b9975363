"""The ROC curve of an attack on several models, and how sure its figures are."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from erase_ray.audits._interval import Interval, two_way


@dataclass(frozen=True, eq=False)
class Attack:
    """What an attacker holds of N examples in each of K models.

    Args:
        score_KN: Higher where an example looks more like one that was in, shape ``(K, N)``.
        member_KN: bool, shape ``(K, N)``: True where it was in.
        request_N: Which request an example belongs to, any integers, shape ``(N,)``. Examples of
            one request are in or out together.
    """

    score_KN: np.ndarray
    member_KN: np.ndarray
    request_N: np.ndarray

    @cached_property
    def owner_N(self) -> np.ndarray:
        """The requests as numbers from 0 on, shape ``(N,)``."""
        return np.unique(self.request_N, return_inverse=True)[1]

    @property
    def num_requests(self) -> int:
        """How many requests there are."""
        return int(self.owner_N.max(initial=-1)) + 1

    @property
    def num_in(self) -> int:
        """Pairs of a model and an example that was in."""
        return int(self.member_KN.sum())

    @property
    def num_out(self) -> int:
        """Pairs of a model and an example that was out."""
        return self.member_KN.size - self.num_in

    def by_request(self, value_KN: np.ndarray) -> np.ndarray:
        """Sums over the examples of each request, shape ``(R, K)``."""
        sums = [np.bincount(self.owner_N, value_N, self.num_requests) for value_N in value_KN]
        return np.stack(sums, axis=1)


def auc(attack: Attack) -> Interval:
    """Probability that an example that is in scores above one that is out of the same model.

    The Mann-Whitney statistic, where ties count half, over all such pairs. Pairs of different
    models are not compared: two examples of one model are of different requests, so if a model
    does not show who was in, the expectation is exactly one half.

    The variance is that of the statistic's placements (DeLong et al., "Comparing the areas under
    two or more correlated receiver operating characteristic curves", Biometrics 1988), clustered
    by request (Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 1997)
    and by model.
    """
    models = zip(attack.score_KN, attack.member_KN, strict=True)
    placed_KN = np.stack([_placements(*model) for model in models])
    rivals_KN = _rivals(attack.member_KN)
    num_pairs = rivals_KN.sum() / 2
    if not num_pairs:
        return Interval.unknown()
    value = placed_KN.sum() / rivals_KN.sum()
    excess_RK = attack.by_request(placed_KN - value * rivals_KN) / num_pairs
    # a pair has two requests but one model
    return Interval.of_share(value, two_way(excess_RK, excess_RK.sum(axis=0) / 2))


def tpr_at(attack: Attack, fpr: float) -> Interval:
    """Share of what was in that scores above all but a share ``fpr`` of what was out.

    One threshold for all models. It is the lowest one that lets no more than that share of the
    outs pass: nothing between two points of the curve is interpolated. Unknown with fewer outs
    than ``1 / fpr``, which is too few for a single one to pass.

    The variance takes the estimated threshold into account by the slope of the curve around it
    (Hsieh and Turnbull, "Nonparametric and semiparametric estimation of the ROC curve", Annals of
    Statistics 1996), clustered as for :func:`auc`.
    """
    allowed = int(np.floor(fpr * attack.num_out + 1e-9))
    if not allowed or not attack.num_in:
        return Interval.unknown()
    out_M = np.sort(attack.score_KN[~attack.member_KN])[::-1]
    passes_KN = attack.score_KN > out_M[allowed]
    value, slope = _passing(attack, out_M[allowed]), _slope(attack, out_M, allowed)
    false_share = passes_KN[~attack.member_KN].mean()
    gain_KN = (passes_KN - value) / attack.num_in
    cost_KN = slope * (passes_KN - false_share) / attack.num_out
    excess_RK = attack.by_request(np.where(attack.member_KN, gain_KN, -cost_KN))
    return Interval.of_share(value, two_way(excess_RK, excess_RK.sum(axis=0)))


def _placements(score_N: np.ndarray, member_N: np.ndarray) -> np.ndarray:
    """Pairs that each example wins for the attacker: an in above an out, ties half."""
    placed_N = np.zeros(len(score_N))
    in_M, out_M = (np.sort(score_N[chosen]) for chosen in (member_N, ~member_N))
    placed_N[member_N] = _ranks(out_M, score_N[member_N])
    placed_N[~member_N] = len(in_M) - _ranks(in_M, score_N[~member_N])
    return placed_N


def _ranks(sorted_M: np.ndarray, score_N: np.ndarray) -> np.ndarray:
    """How many of ``sorted_M`` are below each score; equal ones count half."""
    below_N, up_to_N = (np.searchsorted(sorted_M, score_N, side) for side in ("left", "right"))
    return (below_N + up_to_N) / 2


def _rivals(member_KN: np.ndarray) -> np.ndarray:
    """How many examples of the other kind each one meets in its model, shape ``(K, N)``."""
    num_in_K1 = member_KN.sum(axis=1, keepdims=True)
    return np.where(member_KN, member_KN.shape[1] - num_in_K1, num_in_K1)


def _passing(attack: Attack, threshold: float) -> float:
    return float((attack.score_KN[attack.member_KN] > threshold).mean())


def _slope(attack: Attack, out_M: np.ndarray, allowed: int) -> float:
    """Rise of the curve over its run, between half and one and a half times what is allowed."""
    start, end = allowed // 2, min(allowed + (allowed + 1) // 2, len(out_M) - 1)
    rise = _passing(attack, out_M[end]) - _passing(attack, out_M[start])
    return rise * len(out_M) / max(end - start, 1)
