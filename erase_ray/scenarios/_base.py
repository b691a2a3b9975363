"""The contract of a scenario, and the chain of requests that it makes."""

import hashlib
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.registry import Registry
from erase_ray.scenarios._view import ChainView
from erase_ray.settings import Frozen

SCENARIOS: "Registry[Scenario]" = Registry("scenario", "erase_ray.scenarios", has_editions=True)
NUM_MARKS = 4
ROWS_PER_WISH = 2
"""Sensitive interactions that one person has, about."""


class ChainSettings(Frozen):
    """Settings that every scenario has: when its wishes are served."""

    order: Literal["id", "time", "seed"] = "id"
    """``id``: by the inner id of what a wish is about (person, fake or item). ``time``: by the
    latest row that a wish names, ties by id. ``seed``: in a drawn order."""
    batch: int = Field(default=1, ge=1)
    """Wishes that are served as one request. The marks count wishes, and a batch that would pass
    a mark ends there, so what is forgotten at each mark is the same for every size."""


@dataclass(frozen=True, eq=False)
class RequestSpec:
    """One person's wish, or several that are served at once.

    Args:
        id: Position in the chain.
        users: Inner ids of the people whose rows it names, ascending, int64.
        rows: Row ids to forget, ascending, int64.
        num_wishes: How many wishes were merged.
    """

    id: int
    users: np.ndarray
    rows: np.ndarray
    num_wishes: int = 1

    @property
    def user(self) -> int:
        """The only person, or -1 where there are several."""
        return int(self.users[0]) if len(self.users) == 1 else -1


@dataclass(frozen=True, eq=False)
class Chain:
    """Requests in the order in which they are served, and what they are about.

    Args:
        requests: No row is in two of them; a scenario makes at least one.
        probe: Users to probe, ascending.
        items: bool, shape ``(I,)``: the items whose exposure is measured (sensitive, promoted,
            withdrawn); none of them where there is nothing to measure.
        poison: Fake rows to append before training; None where the scenario makes none.
        probes_all: True where all of ``probe`` count at every mark, False where they count once a
            request has named them.
        item_marks: The mark from which on each item counts, int8, shape ``(I,)``; None if all
            count from the first one on.
    """

    requests: tuple[RequestSpec, ...]
    probe: np.ndarray
    items: np.ndarray
    poison: Interactions | None = None
    probes_all: bool = False
    item_marks: np.ndarray | None = None

    @classmethod
    def of_nobody(cls, num_items: int) -> "Chain":
        """No requests at all: the chain of a base model that none plays a part in."""
        return cls((), np.zeros(0, np.int64), np.zeros(num_items, bool))

    def __len__(self) -> int:
        return len(self.requests)

    @cached_property
    def marks(self) -> tuple[int, ...]:
        """Requests served at mark 1, 2, 3 and 4: ceil(n * k / 4) of the n wishes."""
        served = np.cumsum([request.num_wishes for request in self.requests])
        places = np.searchsorted(served, mark_bounds(int(served[-1])))
        return tuple(int(place) + 1 for place in places)

    def rows(self, num_requests: int | None = None) -> np.ndarray:
        """Row ids named by the first ``num_requests`` requests (all by default), ascending."""
        parts = [request.rows for request in self.requests[:num_requests]]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

    def merged(self, mark: int) -> RequestSpec:
        """All requests up to ``mark`` as one."""
        return merged(0, self.requests[: self.marks[mark - 1]])

    def probed_at(self, mark: int) -> np.ndarray:
        """Those of ``probe`` who count at ``mark``."""
        if self.probes_all:
            return self.probe
        return np.intersect1d(self.probe, self.merged(mark).users)

    def items_at(self, mark: int) -> np.ndarray:
        """bool, shape ``(I,)``: the items whose exposure counts at ``mark``."""
        return self.items if self.item_marks is None else self.items & (self.item_marks <= mark)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of all that is in the chain, in hexadecimal."""
        digest = hashlib.sha256()
        marks = np.ones(len(self.items)) if self.item_marks is None else self.item_marks
        for part in (self.probe, self.items, marks, [self.probes_all]):
            _add(digest, part)
        for request in self.requests:
            _add(digest, request.users)
            _add(digest, request.rows)
            _add(digest, [request.num_wishes])
        if self.poison is not None:
            for column in (self.poison.row, *(column for _, column in self.poison.columns())):
                _add(digest, column)
        return digest.hexdigest()


def merged(number: int, requests: tuple[RequestSpec, ...]) -> RequestSpec:
    """Several requests as the one request ``number``."""
    if len(requests) == 1:
        return RequestSpec(number, requests[0].users, requests[0].rows, requests[0].num_wishes)
    users = np.unique(np.concatenate([request.users for request in requests]))
    rows = np.unique(np.concatenate([request.rows for request in requests]))
    return RequestSpec(number, users, rows, sum(request.num_wishes for request in requests))


def mark_bounds(num_wishes: int) -> tuple[int, ...]:
    """Wishes served at each mark: ceil(n * k / 4)."""
    return tuple(-(-num_wishes * k // NUM_MARKS) for k in range(1, NUM_MARKS + 1))


class Scenario(ABC):
    """Makes a chain of requests from data and seed.

    Args:
        settings: An instance of ``Settings``.
        task: Name of the task of the data, for scenarios that make up rows.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    poisons: ClassVar[bool] = False
    """True where fake rows are trained on, so that each chain has a base model of its own."""
    chain_only: ClassVar[tuple[str, ...]] = ("order", "batch")
    """Settings that have no influence on the fake rows."""

    class Settings(ChainSettings):
        """Settings of the scenario."""

    def __init__(self, settings: Any, task: str = "") -> None:
        self.settings = settings
        self.task = task

    @property
    def category(self) -> str:
        """What is to be forgotten, for tables; empty where there is no word for it."""
        return str(getattr(self.settings, "category", ""))

    @property
    def fraction(self) -> float:
        """How much is to be forgotten, as a share, for tables; NaN where no setting says so."""
        return float(getattr(self.settings, "fraction", math.nan))

    def rough_requests(self, num_rows: int, num_users: int) -> float:
        """About how many wishes there will be in data of a size, for planning."""
        return self.fraction * num_rows / ROWS_PER_WISH if self.fraction > 0 else 1.0

    @classmethod
    def base_settings(cls, settings: dict[str, Any], task: str) -> dict[str, Any] | None:
        """Resolved settings that the training of the base model depends on, the others at their
        defaults; None if it depends on none.
        """
        if not cls.poisons:
            return None
        fields = cls.Settings.model_fields
        return settings | {name: fields[name].default for name in cls.chain_only}

    def view(self, data: Prepared, chain: Chain) -> ChainView:
        """What is trained on and asked with these data and a chain of this scenario."""
        return ChainView(data, chain)

    @abstractmethod
    def build(
        self, interactions: Interactions, split: Split, catalogue: Catalogue, seed: int
    ) -> Chain:
        """The chain; the same arguments give the same chain.

        Raises:
            ScenarioError: No request can be made, with the reason.
        """


def _add(digest: Any, values: Any) -> None:
    array = np.ascontiguousarray(values, np.int64)
    digest.update(np.int64(len(array)).tobytes())
    digest.update(array.tobytes())
