"""The contract of a scenario, and the chain of requests that it makes."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.registry import Registry
from erase_ray.settings import Frozen

SCENARIOS: "Registry[Scenario]" = Registry("scenario", "erase_ray.scenarios")
NUM_MARKS = 4


@dataclass(frozen=True, eq=False)
class RequestSpec:
    """One person's wish.

    Args:
        id: Position in the chain.
        user: Inner id of the person.
        rows: Row ids to forget, ascending, int64.
    """

    id: int
    user: int
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class Chain:
    """Requests in the order in which they are served, and what they are about.

    Args:
        requests: At least one.
        probe: Users to probe, in the order of their requests.
        items: bool, shape ``(I,)``: the items whose exposure is measured (sensitive, or promoted).
        poison: Fake rows to append before training; empty where the scenario makes none.
    """

    requests: tuple[RequestSpec, ...]
    probe: np.ndarray
    items: np.ndarray
    poison: Interactions | None = None

    def __len__(self) -> int:
        return len(self.requests)

    @cached_property
    def marks(self) -> tuple[int, ...]:
        """Requests served at mark 1, 2, 3 and 4: ceil(n * k / 4)."""
        n = len(self.requests)
        return tuple(-(-n * k // NUM_MARKS) for k in range(1, NUM_MARKS + 1))

    def rows(self, num_requests: int | None = None) -> np.ndarray:
        """Row ids named by the first ``num_requests`` requests (all by default), ascending."""
        parts = [request.rows for request in self.requests[:num_requests]]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the requests in their order, in hexadecimal."""
        digest = hashlib.sha256()
        for request in self.requests:
            digest.update(np.int64(request.user).tobytes())
            digest.update(np.int64(len(request.rows)).tobytes())
            digest.update(np.ascontiguousarray(request.rows, np.int64).tobytes())
        return digest.hexdigest()


class Scenario(ABC):
    """Makes a chain of requests from data and seed."""

    name: ClassVar[str]
    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the scenario."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain; the same arguments give the same chain.

        Raises:
            ScenarioError: No request can be made, with the reason.
        """
