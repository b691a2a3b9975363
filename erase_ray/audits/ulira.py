"""Whether an example looks like one that was forgotten or like one that was never seen."""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from erase_ray import seeds
from erase_ray.audits import _membership, _references
from erase_ray.audits._base import AUDITS, Finding, ObservationAudit, Observations

SMALLEST = 1e-12
"""Of a variance."""


@AUDITS.register
class Ulira(ObservationAudit):
    """The likelihood ratio attack on unlearned models, on each shadow model in turn.

    Paper: Hayes et al., "Inexact Unlearning Needs More Careful Evaluations to Avoid a False Sense
    of Privacy", 2024; the attack is that of Carlini et al., "Membership Inference Attacks
    From First Principles", S&P 2022, which it is for the original model.
    Differs from it: as many references of either kind, whoever is in; per default one variance for
    all examples, which the latter paper advises for few models (section VI-C).
    """

    class Settings(ObservationAudit.Settings):
        """Settings of `Ulira`."""

        shadows: int = Field(default=8, ge=4, multiple_of=2)
        """Shadow models; an even number, as every request is out of half of them."""
        variance: Literal["pooled", "example"] = "pooled"
        """Whether all examples share the variance of their log-odds, or each has its own, which
        needs 6 shadow models and is worth it from some dozens on."""

        @model_validator(mode="after")
        def _has_enough(self) -> Self:
            if self.variance == "example" and self.shadows < 6:
                raise ValueError("variance: example needs shadows: 6 or more")
            return self

    def findings(self, observations: Observations) -> list[Finding]:
        """Area under the curve and true positive rates of the attack."""
        return _membership.findings(self.scores(observations), observations)

    def scores(self, observations: Observations) -> np.ndarray:
        """Log-likelihood ratio of forgotten to never seen, shape ``(K, N)``."""
        odds_KN = log_odds(observations.after_KN)
        member_KN = observations.member_KN
        scores = np.empty(odds_KN.shape)
        count = _references.balanced(len(odds_KN))
        for target in range(len(odds_KN)):
            draws = seeds.numpy_generator(observations.seed, "ulira", "references", target)
            others = _references.others(odds_KN.shape, target)
            fits = []
            for kind_KN in (member_KN, ~member_KN):
                chosen = _references.draw(others & kind_KN, count, draws)
                drawn = np.take_along_axis(odds_KN, chosen, axis=0)
                fits.append((drawn.mean(axis=0), self._variance(drawn, odds_KN, others & kind_KN)))
            known, unseen = (_log_density(odds_KN[target], *fit) for fit in fits)
            scores[target] = known - unseen
        return scores

    def _variance(
        self, drawn_MN: np.ndarray, odds_KN: np.ndarray, kind_KN: np.ndarray
    ) -> np.ndarray | float:
        if self.settings.variance == "example":
            return np.maximum(drawn_MN.var(axis=0, ddof=1), SMALLEST)
        return pooled_variance(odds_KN, kind_KN)


def log_odds(log_p: np.ndarray) -> np.ndarray:
    """``log(p / (1 - p))``, which is about normal where p itself is not."""
    log_p = _membership.bounded(log_p)
    return log_p - np.log(-np.expm1(log_p))


def pooled_variance(value_KN: np.ndarray, chosen_KN: np.ndarray) -> float:
    """Variance around the mean of each example, over all examples.

    Args:
        value_KN: Shape ``(K, N)``.
        chosen_KN: bool, shape ``(K, N)``: the values that count.
    """
    count_N = chosen_KN.sum(axis=0)
    mean_N = np.where(chosen_KN, value_KN, 0).sum(axis=0) / np.maximum(count_N, 1)
    squares = np.square(value_KN - mean_N)[chosen_KN].sum()
    return max(float(squares / max((count_N - 1).clip(0).sum(), 1)), SMALLEST)


def _log_density(
    value_N: np.ndarray, mean_N: np.ndarray, variance: np.ndarray | float
) -> np.ndarray:
    """Of the normal distribution, but for a constant."""
    return -np.square(value_N - mean_N) / (2 * variance) - np.log(variance) / 2
