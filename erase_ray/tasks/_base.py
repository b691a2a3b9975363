"""The contract of a task."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.registry import Registry

TASKS: "Registry[Task]" = Registry("task", "erase_ray.tasks")


@dataclass(frozen=True)
class Cut:
    """How histories are cut, and where the arrays live.

    Args:
        max_history: Longest history (items or baskets) that the model reads; older ones are left.
        device: Where the arrays of the examples are kept.
    """

    max_history: int
    device: torch.device


class Examples(ABC):
    """Training examples (or the inputs of queries) as flat arrays on a device.

    ``rows`` (int64, shape ``(N,)``) identifies an example: the row id of its target. ``users``
    (int64, shape ``(N,)``) is whose it is.
    """

    draws_negatives: ClassVar[bool] = False
    """True where :meth:`batch` depends on its seed."""
    has_one_target: ClassVar[bool] = True
    """False where an example aims at several items at once."""
    rows: Tensor
    users: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @abstractmethod
    def take(self, index: Tensor) -> Self:
        """The examples at the given positions, in that order."""

    @abstractmethod
    def batch(self, index: Tensor, seed: int) -> Any:
        """The batch of the examples at ``index``, with targets.

        What is drawn (negatives) is a function of ``seed`` and of each example's row id alone.
        """

    def batches(self, order: Tensor, size: int, seed: int) -> Iterator[Any]:
        """:meth:`batch` of ``size`` examples after the other, in the given order.

        The same batches as from single calls, for less: what has to be asked of the device is
        asked once for many of them.
        """
        for index in order.split(size):
            yield self.batch(index, seed)

    @abstractmethod
    def inputs(self, index: Tensor) -> Any:
        """The batch of the examples at ``index`` without targets, for scoring."""

    @abstractmethod
    def fingerprints(self) -> Tensor:
        """int64, shape ``(N,)``: equal where two examples have the same target and history rows."""

    def targets(self) -> Csr:
        """The items that each example aims at, on the host; not for the inputs of queries."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it aims at")

    @abstractmethod
    def aims_at(self, items_I: Tensor) -> Tensor:
        """bool, shape ``(N,)``: True where a target is among the items marked True."""


@dataclass(frozen=True, eq=False)
class Queries:
    """Questions to a model, with what would be right.

    Args:
        inputs: What the model sees; one example a query.
        relevant: Items that are right, by query; empty lists for probes.
        masked: Items that must not be ranked, by query.
    """

    inputs: Examples
    relevant: Csr
    masked: Csr

    def __len__(self) -> int:
        return len(self.inputs)

    def pick(self, chosen: np.ndarray) -> "Queries":
        """The queries at the given positions, in that order."""
        index = torch.from_numpy(chosen.astype(np.int64)).to(self.inputs.rows.device)
        relevant, masked = self.relevant.pick(chosen), self.masked.pick(chosen)
        return Queries(self.inputs.take(index), relevant, masked)

    @property
    def users(self) -> np.ndarray:
        """Whose query it is, int64, shape ``(Q,)``."""
        return self.inputs.users.cpu().numpy()


class Task(ABC):
    """How one kind of recommender reads the interactions."""

    name: ClassVar[str]

    @abstractmethod
    def split(self, interactions: Interactions) -> Split:
        """The mark of every row of the full table."""

    @abstractmethod
    def examples(self, interactions: Interactions, split: Split, cut: Cut) -> Examples:
        """Training examples of the rows that are left, ordered by row id."""

    @abstractmethod
    def queries(self, interactions: Interactions, split: Split, part: Part, cut: Cut) -> Queries:
        """The queries of valid or test over the rows that are left.

        History and masks are taken from ``interactions`` as well, so a table without the
        forgotten rows gives queries that do not show them.
        """

    @abstractmethod
    def probe(
        self, interactions: Interactions, split: Split, users: np.ndarray, cut: Cut
    ) -> Queries:
        """One query for each of ``users`` (in that order) about what to show next.

        Users with no history left in ``interactions`` are left out where the task needs one.
        """
