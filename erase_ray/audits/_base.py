"""The contract of an audit."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import Field

from erase_ray.models import Model
from erase_ray.registry import Registry
from erase_ray.settings import Frozen
from erase_ray.tasks import Examples, Queries

AUDITS: "Registry[Audit]" = Registry("audit", "erase_ray.audits")


@dataclass(frozen=True)
class Finding:
    """One number that an audit found.

    Args:
        name: What it is, without the name of the audit; letters, digits, ``_`` and ``.``.
        value: NaN where it cannot be told.
        n: How many examples, queries or steps it rests on.
        unit: Unit of the value.
        better: ``up`` or ``down``.
    """

    name: str
    value: float
    n: int
    unit: str = "share"
    better: Literal["up", "down"] = "down"


class Audit(ABC):
    """Asks more of a method than the answers to queries tell.

    Args:
        settings: An instance of ``Settings``.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1

    class Settings(Frozen):
        """Settings of the audit."""

    def __init__(self, settings: Any = None) -> None:
        self.settings: Any = settings or self.Settings()


@dataclass(frozen=True, eq=False)
class Observations:
    """What K shadow models say of the same examples.

    Shadow j has never seen the rows of half of the requests; it was trained with those of the
    others, which the audited method then made it forget. Which half is drawn anew for each shadow,
    so that every request is out of K/2 of them.

    Args:
        before_KN: Log softmax probability of the true item(s) of N examples under K shadow models
            as they were trained, float64, shape ``(K, N)``.
        after_KN: The same once the audited method has served the requests that are in; the same
            array as ``before_KN`` when the original model is audited.
        member_KN: bool, shape ``(K, N)``: True where the request of the example is in.
        request_N: Which request an example belongs to, int64, shape ``(N,)``.
        before_KZ: As ``before_KN`` for Z examples of the population, which no model was trained on.
        after_KZ: As ``after_KN`` for these.
        seed: Root of all draws.
    """

    before_KN: np.ndarray
    after_KN: np.ndarray
    member_KN: np.ndarray
    request_N: np.ndarray
    before_KZ: np.ndarray
    after_KZ: np.ndarray
    seed: int


class ObservationAudit(Audit):
    """Tells from observations of shadow models whether something was known and forgotten."""

    class Settings(Frozen):
        """Settings of the audit."""

        shadows: int = Field(default=8, ge=4, multiple_of=2)
        """Shadow models; an even number, as every request is out of half of them."""

    @abstractmethod
    def findings(self, observations: Observations) -> list[Finding]:
        """What can be told; the same observations give the same findings."""


class Subjects(Protocol):
    """The models of an audit, and what to ask them; everything is made when it is asked for.

    All models are in the hands of the caller, who may change their weights.
    """

    @property
    def seed(self) -> int:
        """Root of all draws."""
        ...

    @property
    def marks(self) -> tuple[int, ...]:
        """The marks to look at, of 1 to 4."""
        ...

    def original(self) -> Model:
        """The base model."""
        ...

    def retrained(self, mark: int) -> Model:
        """The model trained without the rows of all requests up to ``mark``."""
        ...

    def audited(self, mark: int) -> Model:
        """What the audited method left at ``mark``."""
        ...

    def queries(self, mark: int) -> dict[str, Queries]:
        """The ``test`` queries, and the ``probe`` queries of the people who count at ``mark``."""
        ...

    def forgotten(self, mark: int) -> Examples:
        """The training examples that the requests up to ``mark`` make vanish."""
        ...

    def learn(self, model: Model, examples: Examples, step: int) -> float:
        """One optimiser step of training ``model`` on all of some examples; the loss before it.

        A fresh optimiser at step 0. The mean loss of an example.
        """
        ...


class ModelAudit(Audit):
    """Looks at the models themselves."""

    marks: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    """The marks that it looks at; the models there have to be made first."""

    @abstractmethod
    def findings(self, subjects: Subjects) -> dict[int, list[Finding]]:
        """What can be told, by mark."""
