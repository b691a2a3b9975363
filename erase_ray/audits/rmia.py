"""Whether an example stands out against reference models, compared with examples nobody saw."""

from typing import Literal

import numpy as np
from pydantic import Field

from erase_ray import seeds
from erase_ray.audits import _membership, _references
from erase_ray.audits._base import AUDITS, Finding, ObservationAudit, Observations
from erase_ray.errors import DataError


@AUDITS.register
class Rmia(ObservationAudit):
    """The robust membership inference attack, on each shadow model in turn.

    Paper: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024.
    Differs from it: the references have served requests as well; their number does not depend on
    who is in; examples of the population are compared with just as many.
    """

    class Settings(ObservationAudit.Settings):
        """Settings of `Rmia`."""

        shadows: int = Field(default=8, ge=4, multiple_of=2)
        """Shadow models; an even number, as every request is out of half of them."""
        mode: Literal["offline", "online"] = "offline"
        """Whether the attacker has reference models without the example alone, or also with it."""
        a: float = Field(default=1.0, ge=0, le=1)
        """What a model with an example says of it, from one without: ``a * p + (1 - a)``; used
        offline. Below 1 it drowns small probabilities, which those of a large catalogue are."""
        gamma: float = Field(default=1.0, gt=0)
        """How many times as much an example must stand out as one of the population."""
        num_population: int = Field(default=2500, ge=1)
        """Examples of the population that each one is compared with; all where there are fewer."""
        references: Literal["after", "before"] = "after"
        """Whether the reference models have served their requests too, or are as trained."""

    def findings(self, observations: Observations) -> list[Finding]:
        """Area under the curve and true positive rates of the attack.

        Raises:
            DataError: There is no population to compare with.
        """
        return _membership.findings(self.scores(observations), observations)

    def scores(self, observations: Observations) -> np.ndarray:
        """Share of the population that each example stands out against, shape ``(K, N)``."""
        chosen = self._population(observations)
        known = observations.after_KN, observations.after_KZ[:, chosen]
        compared = known
        if self.settings.references == "before":
            compared = observations.before_KN, observations.before_KZ[:, chosen]
        members = observations.member_KN, None
        scores = np.empty(known[0].shape)
        for target in range(len(scores)):
            draws = seeds.numpy_generator(observations.seed, "rmia", "references", target)
            ratio_N, ratio_Z = (
                _membership.bounded(log_p[target]) - self._mean(others, member, target, draws)
                for log_p, others, member in zip(known, compared, members, strict=True)
            )
            least_N = ratio_N - np.log(self.settings.gamma)
            scores[target] = np.searchsorted(np.sort(ratio_Z), least_N, "left") / len(ratio_Z)
        return scores

    def _population(self, observations: Observations) -> np.ndarray:
        count = observations.after_KZ.shape[1]
        if not count:
            raise DataError("the audit 'rmia' compares with test queries, and there are none")
        draws = seeds.numpy_generator(observations.seed, "rmia", "population")
        return draws.permutation(count)[: self.settings.num_population]

    def _mean(
        self,
        log_p_KN: np.ndarray,
        member_KN: np.ndarray | None,
        target: int,
        draws: np.random.Generator,
    ) -> np.ndarray:
        """Logarithm of what models say on average, half of which know the example, ``(N,)``.

        No model knows an example of the population, for which ``member_KN`` is None.
        """
        others = _references.others(log_p_KN.shape, target)
        count = _references.balanced(len(log_p_KN))
        is_online = self.settings.mode == "online"
        if member_KN is None:
            chosen = _references.draw(others, count * (1 + is_online), draws)
        else:
            kinds = [~member_KN, member_KN] if is_online else [~member_KN]
            drawn = [_references.draw(others & kind, count, draws) for kind in kinds]
            chosen = np.concatenate(drawn)
        mean_N = _log_mean(_membership.bounded(np.take_along_axis(log_p_KN, chosen, axis=0)))
        return mean_N if is_online else self._with_members(mean_N)

    def _with_members(self, log_out_N: np.ndarray) -> np.ndarray:
        a = self.settings.a
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log((1 + a) / 2) + log_out_N, np.log((1 - a) / 2))


def _log_mean(log_p_MN: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(log_p_MN, axis=0) - np.log(len(log_p_MN))
