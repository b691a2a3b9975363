"""Next-basket recommendation: what a user buys together next."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.data.split import Part, Split
from erase_ray.tasks._arrays import find, on_device, ragged, running_hash
from erase_ray.tasks._base import TASKS, Cut, Queries, Task
from erase_ray.tasks._batches import BasketBatch
from erase_ray.tasks._runs import Runs

_TARGET = seeds.derive(0, "fingerprint", "target")


@dataclass(frozen=True, eq=False)
class BasketExamples(Runs):
    """Runs of baskets on flat arrays; the basket behind a run is its target.

    Args:
        rows: Row id of the first row of the target basket, shape ``(N,)``.
        users: Shape ``(N,)``.
        starts: Number of the oldest basket of each history, shape ``(N,)``.
        lengths: Baskets in each history, 1 or more, shape ``(N,)``.
        item_R: Items of all rows, in the order of the table.
        row_R: Row ids of the same.
        offset_G: Basket g holds rows ``offset_G[g]`` to ``offset_G[g + 1] - 1``.
        has_targets: False for probes, which ask about the future.
    """

    has_one_target: ClassVar[bool] = False
    item_R: Tensor
    row_R: Tensor
    offset_G: Tensor
    has_targets: bool = True

    def batch(self, index: Tensor, seed: int) -> BasketBatch:
        """Histories and the baskets behind them; nothing is drawn."""
        target_T, owner_T = self._targets(index)
        return replace(self.inputs(index), target_T=target_T, target_owner_T=owner_T)

    def inputs(self, index: Tensor) -> BasketBatch:
        """Histories alone."""
        start_B, length_B = self.starts[index], self.lengths[index]
        number_K, owner_K = ragged(start_B, length_B)
        first_K = self.offset_G[number_K]
        position_M, basket_M = ragged(first_K, self.offset_G[number_K + 1] - first_K)
        return BasketBatch(self.item_R[position_M], basket_M, owner_K, length_B)

    def fingerprints(self) -> Tensor:
        """Hash of the rows of the target basket and of the rows of the history."""
        sums_G = running_hash(self.row_R)[self.offset_G]
        end_N = self.starts + self.lengths
        history_N = sums_G[end_N] - sums_G[self.starts]
        if not self.has_targets:
            return history_N
        return history_N + seeds.hash_ids(_TARGET, sums_G[end_N + 1] - sums_G[end_N])

    def targets(self) -> Csr:
        """The items of the basket that comes next."""
        item_T, owner_T = self._targets(torch.arange(len(self), device=self.rows.device))
        lengths = torch.bincount(owner_T, minlength=len(self)).cpu().numpy()
        return Csr(np.r_[0, np.cumsum(lengths)], item_T.cpu().numpy().astype(np.int32))

    def aims_at(self, items_I: Tensor) -> Tensor:
        """True where an item of the target basket is marked."""
        aims_N = torch.zeros_like(self.rows, dtype=torch.bool)
        if self.has_targets:
            item_T, owner_T = self._targets(torch.arange(len(self), device=self.rows.device))
            aims_N[owner_T[items_I[item_T]]] = True
        return aims_N

    def _targets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Items of the target baskets and the position in ``index`` that each belongs to."""
        assert self.has_targets
        number_B = self.starts[index] + self.lengths[index]
        first_B = self.offset_G[number_B]
        position_T, owner_T = ragged(first_B, self.offset_G[number_B + 1] - first_B)
        return self.item_R[position_T], owner_T


@dataclass(frozen=True, eq=False)
class Baskets:
    """The rows of a table grouped into baskets, and those into sequences.

    Args:
        table: The rows.
        starts: Position of the first row of each basket, shape ``(G,)``.
        first: Number of the first basket of the sequence of each basket, shape ``(G,)``.
    """

    table: Interactions
    starts: np.ndarray
    first: np.ndarray

    @classmethod
    def of(cls, interactions: Interactions) -> "Baskets":
        """The baskets of a table; an item that a basket lists twice counts once."""
        starts = run_starts(interactions.sequence, interactions.step, interactions.item)
        table = interactions
        if len(starts) < len(interactions):
            table = interactions.only(interactions.row[starts])
        starts = run_starts(table.sequence, table.step)
        first = run_starts(table.sequence[starts])
        return cls(table, starts, np.repeat(first, run_sizes(first, len(starts))))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def last(self) -> np.ndarray:
        """Numbers of the last basket of each sequence."""
        return np.append(run_starts(self.first)[1:], len(self))[: len(self)] - 1

    def marks(self, split: Split) -> np.ndarray:
        """The mark of each basket, shape ``(G,)``."""
        return split.marks[self.table.row[self.starts]]

    def items(self) -> Csr:
        """The items of each basket."""
        return Csr(np.append(self.starts, len(self.table)), self.table.item)

    def histories(self, end_N: np.ndarray, cut: Cut) -> BasketExamples:
        """Histories before the baskets ``end_N``, none of which is the first of its sequence."""
        return self._runs(self.first[end_N], end_N, self.table.row[self.starts[end_N]], cut)

    def futures(self, last_N: np.ndarray, cut: Cut) -> BasketExamples:
        """Histories up to and with the baskets ``last_N``, without targets."""
        last_row_G = self.table.row[np.append(self.starts[1:], len(self.table))[: len(self)] - 1]
        runs = self._runs(self.first[last_N], last_N + 1, last_row_G[last_N], cut)
        return replace(runs, has_targets=False)

    def _runs(
        self, first_N: np.ndarray, end_N: np.ndarray, row_N: np.ndarray, cut: Cut
    ) -> BasketExamples:
        assert cut.max_history >= 1
        start_N = np.maximum(first_N, end_N - cut.max_history)
        return BasketExamples(
            rows=on_device(row_N, cut.device),
            users=on_device(self.table.user[self.starts[first_N]], cut.device),
            starts=on_device(start_N, cut.device),
            lengths=on_device(end_N - start_N, cut.device),
            item_R=on_device(self.table.item, cut.device),
            row_R=on_device(self.table.row, cut.device),
            offset_G=on_device(np.append(self.starts, len(self.table)), cut.device),
        )


@TASKS.register
class NextBasket(Task):
    """Recommend the items of a user's next basket after the latest baskets."""

    def split(self, interactions: Interactions) -> Split:
        """Each user's last basket is test, the one before valid, the others are train."""
        starts = run_starts(interactions.sequence, interactions.step)
        first = run_starts(interactions.sequence[starts])
        sizes = run_sizes(first, len(starts))
        from_end_G = np.repeat(first + sizes, sizes) - 1 - np.arange(len(starts))
        mark_G = (Part.TEST - np.minimum(from_end_G, Part.TEST)).astype(np.int8)
        return Split(np.repeat(mark_G, run_sizes(starts, len(interactions))))

    def examples(self, interactions: Interactions, split: Split, cut: Cut) -> BasketExamples:
        """One example a user with two or more training baskets left: the last of them."""
        baskets = Baskets.of(interactions.only(_train_rows(interactions, split)))
        last = baskets.last
        return baskets.histories(last[baskets.first[last] < last], cut)

    def queries(self, interactions: Interactions, split: Split, part: Part, cut: Cut) -> Queries:
        """One query a basket of ``part`` that has an earlier one left; nothing is masked."""
        baskets = Baskets.of(interactions)
        is_asked_G = (baskets.marks(split) == part) & (baskets.first < np.arange(len(baskets)))
        target_Q = np.flatnonzero(is_asked_G)
        inputs = baskets.histories(target_Q, cut)
        return Queries(inputs, baskets.items().pick(target_Q), Csr.empty(len(target_Q)))

    def probe(
        self, interactions: Interactions, split: Split, users: np.ndarray, cut: Cut
    ) -> Queries:
        """One query for each user with baskets left: what comes after all of them."""
        baskets = Baskets.of(interactions.of_users(np.unique(users)))
        last = baskets.last
        owners = baskets.table.user[baskets.starts[last]]
        inputs = baskets.futures(last[find(users, owners)[1]], cut)
        return Queries(inputs, Csr.empty(len(inputs)), Csr.empty(len(inputs)))


def _train_rows(interactions: Interactions, split: Split) -> np.ndarray:
    return interactions.row[split.select(interactions, Part.TRAIN)]
