"""Observations with a planted leak, and models whose scores are a table."""

import numpy as np
import torch
from torch import Tensor, nn

from erase_ray.audits import AUDITS, Finding, Observations
from erase_ray.data.csr import Csr
from erase_ray.models import Model, Shape
from erase_ray.tasks import Queries
from erase_ray.tasks._negatives import Taken
from erase_ray.tasks.cf import PairExamples


def membership(num_models: int, num_requests: int, draws: np.random.Generator) -> np.ndarray:
    """Each request in half of the models, bool, shape ``(K, R)``."""
    return (draws.random((num_requests, num_models)).argsort(axis=1) < num_models // 2).T


def observations(
    leak: float = 0.0,
    seed: int = 0,
    num_models: int = 8,
    num_requests: int = 100,
    size: int = 5,
    num_population: int = 500,
    noise: float = 0.3,
) -> Observations:
    """Examples of very different difficulty, on which what was in is off by ``leak``."""
    draws = np.random.default_rng(seed)
    member_KR = membership(num_models, num_requests, draws)
    request_N = np.repeat(np.arange(num_requests), size)
    member_KN = member_KR[:, request_N]

    def says(count: int) -> np.ndarray:
        hardness = draws.normal(-6, 2, count)
        return hardness + draws.normal(0, noise, (num_models, count))

    value_KN, value_KZ = says(len(request_N)) + leak * member_KN, says(num_population)
    value_KN, value_KZ = (np.minimum(value, -1e-3) for value in (value_KN, value_KZ))
    return Observations(value_KN, value_KN, member_KN, request_N, value_KZ, value_KZ, seed)


def audit(name: str, **settings):
    kind = AUDITS.get(name)
    return kind(kind.Settings(**settings))


def by_name(findings: list[Finding]) -> dict[str, float]:
    named = {finding.name: finding.value for finding in findings}
    assert len(named) == len(findings)
    return named


class Fixed(Model):
    """A model whose scores are a table, and its loss one weight."""

    name = "fixed"
    task = "cf"

    def __init__(self, scores_UI, weight: float = 1.0) -> None:
        scores_UI = torch.as_tensor(scores_UI, dtype=torch.float32)
        super().__init__(None, Shape(*scores_UI.shape))
        self.scores_UI = scores_UI
        self.weight = nn.Parameter(torch.tensor([weight]))
        self.inner = nn.Dropout(0.5)

    def reset(self, generator: torch.Generator) -> None:
        raise AssertionError

    def loss(self, batch) -> Tensor:
        return self.weight.expand(len(batch))

    def scores(self, batch) -> Tensor:
        assert not self.inner.training
        return self.scores_UI[batch.user_B]

    def head_parameters(self) -> dict[str, nn.Parameter]:
        return {}


def lists(*items: list[int]) -> Csr:
    sizes = [len(one) for one in items]
    return Csr(np.r_[0, np.cumsum(sizes)], np.array([i for one in items for i in one], np.int32))


def pairs(num_users: int, items: list[int] | None = None) -> PairExamples:
    """One example a user, with a target each or none."""
    users = torch.arange(num_users)
    targets = None if items is None else torch.tensor(items)
    return PairExamples(users, users, targets, Taken(torch.zeros(0, dtype=torch.int64), 1000))


def queries(relevant: Csr, masked: Csr | None = None) -> Queries:
    return Queries(pairs(len(relevant)), relevant, masked or Csr.empty(len(relevant)))
