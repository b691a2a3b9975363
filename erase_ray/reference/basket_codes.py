"""Next-basket data as the published loader hands them out: coded lengths, a part of the items.

What counts as first in a basket is drawn once for each row: prepared baskets are sets, whose order
in the raw file is not kept.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.csr import Csr
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.tasks import Cut, Queries
from erase_ray.tasks._arrays import on_device, ragged, running_hash
from erase_ray.tasks.next_basket import _TARGET, BasketExamples, Baskets, NextBasket

FRAME = 2
"""Empty baskets around a history, which its length counts."""
NO_ROW = -1
_ORDER = seeds.derive(0, "reference", "order of baskets")
ASKED = 3
"""Baskets of a person that are targets: of train, valid and test."""


def places(row_R: np.ndarray, offset_G: np.ndarray) -> np.ndarray:
    """The place of each row in its basket, from 0, in an order that is drawn from the row ids.

    Args:
        row_R: Row ids, basket by basket.
        offset_G: Basket g holds ``offset_G[g]`` to ``offset_G[g + 1] - 1``.
    """
    size_G = np.diff(offset_G)
    drawn_R = seeds.hash_ids(_ORDER, torch.from_numpy(row_R.astype(np.int64))).numpy()
    order = np.lexsort((drawn_R, np.repeat(np.arange(len(size_G)), size_G)))
    place_R = np.empty(len(row_R), np.int64)
    place_R[order] = np.arange(len(row_R)) - np.repeat(offset_G[:-1], size_G)
    return place_R


def first_rows(baskets: Baskets) -> np.ndarray:
    """Position in the table of the first item of each basket, shape ``(G,)``."""
    place_R = places(baskets.table.row, np.append(baskets.starts, len(baskets.table)))
    return np.flatnonzero(place_R == 0)


def codes(length_X: np.ndarray) -> np.ndarray:
    """The code of each length 0, 1, 2 ...: its rank, from 1, in the order of first appearance.

    A length that does not appear stands for itself.
    """
    known, first = np.unique(length_X, return_index=True)
    code_L = np.arange(max(length_X.max(initial=0) + 1, 1))
    code_L[known[np.argsort(first)]] = np.arange(1, len(known) + 1)
    return code_L


def coded(code_L: np.ndarray, length_X: np.ndarray) -> np.ndarray:
    """The code of each of some lengths."""
    inside = length_X < len(code_L)
    return np.where(inside, code_L[np.where(inside, length_X, 0)], length_X)


@dataclass(frozen=True, eq=False)
class Targets:
    """The baskets of a table, by how far from the end of their sequence they are."""

    baskets: Baskets

    @cached_property
    def size_G(self) -> np.ndarray:
        """Items in each basket."""
        return self.baskets.items().lengths

    @cached_property
    def target_G(self) -> np.ndarray:
        """bool: True for the last three baskets of a sequence, but for its first one."""
        number_G = np.arange(len(self.baskets))
        last_G = self.baskets.last[np.unique(self.baskets.first, return_inverse=True)[1]]
        return (last_G - number_G < ASKED) & (self.baskets.first < number_G)

    def first_items(self, num_items: int) -> np.ndarray:
        """bool, shape ``(I,)``: True for the first item of any target basket."""
        known_I = np.zeros(num_items, bool)
        known_I[self.baskets.table.item[first_rows(self.baskets)[self.target_G]]] = True
        return known_I

    def basket_codes(self) -> np.ndarray:
        """Codes of the lengths of baskets in histories; the frame before them comes first."""
        is_last_G = np.zeros(len(self.baskets), bool)
        is_last_G[self.baskets.last] = True
        return codes(np.append(0, self.size_G[~is_last_G]))

    def target_codes(self) -> np.ndarray:
        """Codes of the lengths of target baskets."""
        return codes(self.size_G[self.target_G])

    def history_codes(self, longest: int) -> np.ndarray:
        """Codes of the lengths of histories of at most ``longest`` baskets, with their frames."""
        number_G = np.arange(len(self.baskets))
        before_G = np.minimum(number_G - self.baskets.first, longest)
        return codes(before_G[self.target_G] + FRAME)


@dataclass(frozen=True, eq=False, kw_only=True)
class CodedBaskets(BasketExamples):
    """Examples whose targets are not read from the arrays of the histories.

    Args:
        target_N: Number of each target basket, shape ``(N,)``.
        target_item_R: Items of the target baskets, basket by basket.
        target_row_R: Row ids of the same.
        target_offset_G: Target basket g holds ``target_offset_G[g]`` to the next, less one.
    """

    target_N: Tensor
    target_item_R: Tensor
    target_row_R: Tensor
    target_offset_G: Tensor

    def take(self, index: Tensor) -> "CodedBaskets":
        """The examples at the given positions; the flat arrays are shared."""
        return replace(super().take(index), target_N=self.target_N[index])

    def fingerprints(self) -> Tensor:
        """Hash of the rows of the target that are read, and of those of the history."""
        history_N = replace(self, has_targets=False)._of_histories()
        if not self.has_targets:
            return history_N
        sums_G = running_hash(self.target_row_R)[self.target_offset_G]
        own_N = sums_G[self.target_N + 1] - sums_G[self.target_N]
        return history_N + seeds.hash_ids(_TARGET, own_N)

    def _of_histories(self) -> Tensor:
        return super().fingerprints()

    def _targets(self, index: Tensor) -> tuple[Tensor, Tensor]:
        assert self.has_targets
        number_B = self.target_N[index]
        first_B = self.target_offset_G[number_B]
        position_T, owner_T = ragged(first_B, self.target_offset_G[number_B + 1] - first_B)
        return self.target_item_R[position_T], owner_T


@dataclass(frozen=True, eq=False)
class Repeated(Csr):
    """One list for every query, made a list each for the queries of a block alone.

    ``offsets`` and ``values`` are those of the one list.
    """

    num_queries: int = 0

    @classmethod
    def of(cls, values: np.ndarray, num_queries: int) -> "Repeated":
        """``num_queries`` times the list ``values``."""
        return cls(np.array([0, len(values)]), values.astype(np.int32), num_queries)

    def __len__(self) -> int:
        return self.num_queries

    def pick(self, chosen: np.ndarray) -> "Repeated":
        """The same for as many queries."""
        return replace(self, num_queries=len(chosen))

    def take(self, start: int, stop: int) -> Csr:
        """The lists ``start`` to ``stop - 1``."""
        num, size = stop - start, len(self.values)
        return Csr(np.arange(num + 1) * size, np.tile(self.values, num))


@dataclass(frozen=True, eq=False)
class CodedTask(NextBasket):
    """Reads baskets with the codes, and the vocabulary, of one table.

    Args:
        table: The table that codes and vocabulary are made from, as a loader does.
        recodes: Whether coded lengths are used as lengths.
        forgets: Whether only first items of targets are known.
    """

    table: Interactions
    recodes: bool
    forgets: bool

    def examples(self, interactions: Interactions, split: Split, cut: Cut) -> BasketExamples:
        """One example a user; see :class:`NextBasket`."""
        return self._coded(super().examples(interactions, split, cut), cut)

    def queries(self, interactions: Interactions, split: Split, part: Part, cut: Cut) -> Queries:
        """Queries over what is read of the histories; all items of the target are right."""
        return self._asked(super().queries(interactions, split, part, cut), cut)

    def probe(
        self, interactions: Interactions, split: Split, users: np.ndarray, cut: Cut
    ) -> Queries:
        """Probes over what is read of the histories."""
        return self._asked(super().probe(interactions, split, users, cut), cut)

    @cached_property
    def _known(self) -> Targets:
        return Targets(Baskets.of(self.table))

    @cached_property
    def _vocabulary_I(self) -> np.ndarray:
        num_items = self.table.num_items
        return self._known.first_items(num_items) if self.forgets else np.ones(num_items, bool)

    @cached_property
    def _stand_in(self) -> int:
        """The item that a history is made of of which nothing is read: the first that is known."""
        return int(self._vocabulary_I.argmax())

    @cached_property
    def _codes(self) -> tuple[np.ndarray, np.ndarray]:
        return self._known.basket_codes(), self._known.target_codes()

    def _asked(self, queries: Queries, cut: Cut) -> Queries:
        assert isinstance(queries.inputs, BasketExamples)
        inputs, masked = self._coded(queries.inputs, cut), queries.masked
        if self.forgets:
            masked = Repeated.of(np.flatnonzero(~self._vocabulary_I), len(queries))
        return Queries(inputs, queries.relevant, masked)

    def _coded(self, examples: BasketExamples, cut: Cut) -> CodedBaskets:
        """What the models are shown of ``examples``."""
        offset_G = examples.offset_G.cpu().numpy()
        item_R, row_R = (column.cpu().numpy() for column in (examples.item_R, examples.row_R))
        size_G = np.diff(offset_G)
        place_R, known_R = places(row_R, offset_G), self._vocabulary_I[item_R]
        basket, target = (
            _read(place_R, known_R, offset_G, coded(code_L, size_G) if self.recodes else size_G)
            for code_L in self._codes
        )
        start_N, length_N = self._histories(examples, cut)
        # where nothing is read of a history, one more basket stands for it, with a stand-in
        nothing_N = basket[1][start_N + length_N] == basket[1][start_N]
        start_N, length_N = (
            np.where(nothing_N, len(size_G), start_N),
            np.where(nothing_N, 1, length_N),
        )
        shown = (np.append(item_R[basket[0]], self._stand_in), np.append(row_R[basket[0]], NO_ROW))
        moved = [on_device(column, cut.device) for column in shown]
        aims = [on_device(column[target[0]], cut.device) for column in (item_R, row_R)]
        return CodedBaskets(
            rows=examples.rows,
            users=examples.users,
            starts=on_device(start_N, cut.device),
            lengths=on_device(length_N, cut.device),
            item_R=moved[0],
            row_R=moved[1],
            offset_G=on_device(np.append(basket[1], len(basket[0]) + 1), cut.device),
            has_targets=examples.has_targets,
            target_N=examples.starts + examples.lengths,
            target_item_R=aims[0],
            target_row_R=aims[1],
            target_offset_G=on_device(target[1], cut.device),
        )

    def _histories(self, examples: BasketExamples, cut: Cut) -> tuple[np.ndarray, np.ndarray]:
        """Where histories start, and how many of their baskets are read, the oldest first."""
        start_N, length_N = examples.starts.cpu().numpy(), examples.lengths.cpu().numpy()
        if not self.recodes:
            return start_N, length_N
        code_L = self._known.history_codes(cut.max_history)
        return start_N, np.clip(coded(code_L, length_N + FRAME) - FRAME, 0, length_N)


def _read(
    place_R: np.ndarray, known_R: np.ndarray, offset_G: np.ndarray, read_G: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the first ``read_G`` items of each basket that are known, and offsets."""
    keep_R = (place_R < np.repeat(read_G, np.diff(offset_G))) & known_R
    return np.flatnonzero(keep_R), np.append(0, np.cumsum(keep_R))[offset_G]
