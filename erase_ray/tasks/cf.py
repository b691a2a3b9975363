"""Collaborative filtering: a user and an item, no order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split, ratio_marks
from erase_ray.tasks._arrays import find, on_device
from erase_ray.tasks._base import TASKS, Cut, Examples, Queries, Task
from erase_ray.tasks._batches import PairBatch
from erase_ray.tasks._negatives import Taken

DRAWN_AT_ONCE = 1 << 20
"""Negatives that are drawn together for several batches."""
_TARGET = seeds.derive(0, "fingerprint", "target")


@dataclass(frozen=True, eq=False)
class PairExamples(Examples):
    """One example a training row: the user prefers its item to a drawn one.

    Args:
        rows: Row id, shape ``(N,)``.
        users: Shape ``(N,)``.
        items: Shape ``(N,)``; None for queries, which have no target.
        taken: Items that each user has a training row of, which are no negatives.
    """

    draws_negatives: ClassVar[bool] = True
    rows: Tensor
    users: Tensor
    items: Tensor | None
    taken: Taken

    def take(self, index: Tensor) -> "PairExamples":
        """The examples at the given positions; what is no negative stays the same."""
        items = None if self.items is None else self.items[index]
        return replace(self, rows=self.rows[index], users=self.users[index], items=items)

    def batch(self, index: Tensor, seed: int) -> PairBatch:
        """Users, their items and one negative each."""
        assert self.items is not None
        user_B = self.users[index]
        negative_B = self.taken.negatives(user_B, self.rows[index], seed)
        return PairBatch(user_B, self.items[index], negative_B)

    def batches(self, order: Tensor, size: int, seed: int) -> Iterator[PairBatch]:
        """The same batches, with negatives drawn for many of them at once."""
        for index in order.split(max(DRAWN_AT_ONCE // size, 1) * size):
            drawn = self.batch(index, seed)
            columns = (drawn.user_B, drawn.item_B, drawn.negative_B)
            parts = (column.split(size) for column in columns if column is not None)
            yield from map(PairBatch, *parts)

    def inputs(self, index: Tensor) -> PairBatch:
        """Users alone."""
        return PairBatch(self.users[index])

    def fingerprints(self) -> Tensor:
        """Hash of the row id."""
        return seeds.hash_ids(_TARGET, self.rows)

    def targets(self) -> Csr:
        """One item each."""
        assert self.items is not None
        return Csr(np.arange(len(self) + 1), self.items.cpu().numpy().astype(np.int32))

    def aims_at(self, items_I: Tensor) -> Tensor:
        """True where the item is marked."""
        if self.items is None:
            return torch.zeros_like(self.rows, dtype=torch.bool)
        return items_I[self.items]


@TASKS.register
class Cf(Task):
    """Recommend items to users, whatever the order in which they chose before."""

    def split(self, interactions: Interactions) -> Split:
        """Each user's first 80 % of the rows for training, then 10 % valid, then 10 % test."""
        return Split(ratio_marks(interactions.sequence))

    def examples(self, interactions: Interactions, split: Split, cut: Cut) -> PairExamples:
        """One example a training row."""
        train_R = split.select(interactions, Part.TRAIN)
        user_N = interactions.user[train_R].astype(np.int64)
        item_N = interactions.item[train_R].astype(np.int64)
        keys = np.unique(user_N * interactions.num_items + item_N)
        return PairExamples(
            rows=on_device(interactions.row[train_R], cut.device),
            users=on_device(user_N, cut.device),
            items=on_device(item_N, cut.device),
            taken=Taken(on_device(keys, cut.device), interactions.num_items),
        )

    def queries(self, interactions: Interactions, split: Split, part: Part, cut: Cut) -> Queries:
        """One query a user with rows of ``part``; items of earlier parts are masked.

        An item that is right is never masked, also where the user had it before.
        """
        mark_R = split.of(interactions)
        user_Q, first_Q = np.unique(interactions.user[mark_R == part], return_index=True)
        relevant = _items_of(interactions, mark_R == part, user_Q)
        masked = _without(_items_of(interactions, mark_R < part, user_Q), relevant)
        row_Q = interactions.row[mark_R == part][first_Q]
        return Queries(_asking(user_Q, row_Q, interactions, cut), relevant, masked)

    def probe(
        self, interactions: Interactions, split: Split, users: np.ndarray, cut: Cut
    ) -> Queries:
        """One query for each user, who may have nothing left; train and valid are masked."""
        own = interactions.of_users(np.unique(users))
        last_user, last_row = own.user[::-1], own.row[::-1]
        known, last = np.unique(last_user, return_index=True)
        asked, place = find(users, known)
        row_Q = np.full(len(users), -1, np.int64)
        row_Q[asked] = last_row[last[place]]
        masked = _items_of(own, split.of(own) < Part.TEST, users)
        return Queries(_asking(users, row_Q, interactions, cut), Csr.empty(len(users)), masked)


def _asking(
    user_Q: np.ndarray, row_Q: np.ndarray, interactions: Interactions, cut: Cut
) -> PairExamples:
    return PairExamples(
        rows=on_device(row_Q, cut.device),
        users=on_device(user_Q, cut.device),
        items=None,
        taken=Taken(on_device(np.zeros(0), cut.device), interactions.num_items),
    )


def _items_of(interactions: Interactions, chosen_R: np.ndarray, user_Q: np.ndarray) -> Csr:
    """The distinct items of each of ``user_Q`` in the chosen rows."""
    found, owners = find(interactions.user[chosen_R], user_Q)
    return Csr.of_pairs(owners, interactions.item[chosen_R][found], len(user_Q))


def _without(lists: Csr, other: Csr) -> Csr:
    """Each list less what the other one of the same number holds."""
    keys, gone = (csr.owners << 32 | csr.values for csr in (lists, other))
    keep = ~np.isin(keys, gone)
    return Csr.of_pairs(lists.owners[keep], lists.values[keep], len(lists))
