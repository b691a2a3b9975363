"""The items that users have, for baselines that score by them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from erase_ray.models._base import Shape
from erase_ray.models._baseline import Baseline
from erase_ray.models._pieces import pieces
from erase_ray.tasks._arrays import ragged

MOST_CELLS = 1 << 20
"""Entries of the item-by-item matrix that are counted at once."""
MOST_PAIRS = 1 << 20
"""Pairs of items of one user that are counted at once."""


@dataclass(frozen=True, eq=False)
class OwnLists:
    """Items of some users; int64 except the counts.

    Args:
        item_M: Ascending for each user, without repeats.
        count_M: How often the user has the item, float64; 0 where all of it was dropped.
        owner_M: Position in the batch, ascending.
        length_B: Items of each user.
    """

    item_M: Tensor
    count_M: Tensor
    owner_M: Tensor
    length_B: Tensor


class OwnItems:
    """How often each user has each item.

    Args:
        user_E: Users, int64, shape ``(E,)``.
        item_E: Their items; the same pair may come several times.
        num_items: Size of the catalogue.
    """

    def __init__(self, user_E: Tensor, item_E: Tensor, num_items: int) -> None:
        self.num_items = num_items
        self._key_P, count_P = torch.unique(user_E * num_items + item_E, return_counts=True)
        self._item_P = self._key_P % num_items
        self._count_P = count_P.double()

    def change(self, user_E: Tensor, item_E: Tensor, by: int) -> None:
        """Add ``by`` to the count of each of the pairs, all of which are known."""
        key_E = user_E * self.num_items + item_E
        place_E = torch.searchsorted(self._key_P, key_E)
        assert torch.equal(self._key_P[place_E.clamp(max=len(self._key_P) - 1)], key_E)
        self._count_P.index_add_(0, place_E, torch.full_like(self._count_P[place_E], by))
        assert bool((self._count_P[place_E] >= 0).all())

    def of(self, user_B: Tensor) -> OwnLists:
        """The items of the given users."""
        start_B, length_B = self._runs(user_B)
        place_M, owner_M = ragged(start_B, length_B)
        return OwnLists(self._item_P[place_M], self._count_P[place_M], owner_M, length_B)

    def squares(self) -> Tensor:
        """Sum over users of the squared count of each item, float64, shape ``(I,)``."""
        return torch.bincount(self._item_P, self._count_P**2, minlength=self.num_items)

    def joint_counts(self, item_N: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """What is not 0 in the item-by-item matrix of ``sum over users of count times count``.

        Takes time proportional to the sum over users of their squared numbers of items, plus one
        pass over the matrix; memory is bounded by `MOST_CELLS` and `MOST_PAIRS`.

        Args:
            item_N: Rows of the matrix, ascending; all by default.

        Yields:
            For a block of consecutive rows: item, other item (the same one included) and value
            (float64) of each entry, sorted by item, then other item.
        """
        if item_N is None:
            item_N = torch.arange(self.num_items, device=self._key_P.device)
        order_P, start_I = self._by_item
        for item_B in item_N.split(max(1, MOST_CELLS // self.num_items)):
            start_B = start_I[item_B]
            place_E, row_E = ragged(start_B, start_I[item_B + 1] - start_B)
            sum_BI = self._block(order_P[place_E], row_E, len(item_B))
            row_C, other_C = sum_BI.nonzero(as_tuple=True)
            yield item_B[row_C], other_C, sum_BI[row_C, other_C]

    def gram_times(self, vector_I: Tensor) -> Tensor:
        """The whole matrix times a vector (float64), in time proportional to the pairs."""
        user_P = self._key_P // self.num_items
        sum_U = torch.bincount(user_P, self._count_P * vector_I[self._item_P])
        product_P = self._count_P * sum_U[user_P]
        return torch.bincount(self._item_P, product_P, minlength=self.num_items)

    @cached_property
    def _by_item(self) -> tuple[Tensor, Tensor]:
        """The pairs by item, then user, and where each item begins among them."""
        start_I = self._key_P.new_zeros(self.num_items + 1)
        start_I[1:] = torch.bincount(self._item_P, minlength=self.num_items).cumsum(0)
        return self._item_P.argsort(stable=True), start_I

    def _block(self, place_E: Tensor, row_E: Tensor, num_rows: int) -> Tensor:
        """Rows of the matrix from the pairs at ``place_E``, shape ``(num_rows, I)``."""
        flat = self._count_P.new_zeros(num_rows * self.num_items)
        user_E = self._key_P[place_E] // self.num_items
        start_E, length_E = self._runs(user_E)
        for piece in pieces(length_E, MOST_PAIRS):
            place_M, owner_M = ragged(start_E[piece], length_E[piece])
            product_M = self._count_P[place_E[piece]][owner_M] * self._count_P[place_M]
            cell_M = (row_E[piece] * self.num_items)[owner_M] + self._item_P[place_M]
            flat.index_add_(0, cell_M, product_M)
        return flat.view(num_rows, self.num_items)

    def _runs(self, user_B: Tensor) -> tuple[Tensor, Tensor]:
        """Where the pairs of each user begin, and how many they are."""
        start_B = torch.searchsorted(self._key_P, user_B * self.num_items)
        return start_B, torch.searchsorted(self._key_P, (user_B + 1) * self.num_items) - start_B


class OwnItemsBaseline(Baseline):
    """A baseline whose scores are a linear function of the items a user has.

    Those are the edges: what is learned of all users is the state, what a user has is not.
    """

    has_edges: ClassVar[bool] = True
    task = "cf"

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__(settings, shape)
        self._own: OwnItems | None = None

    @property
    def own(self) -> OwnItems:
        """The items of all users."""
        assert self._own is not None, f"set_edges was not called on model '{self.name}'"
        return self._own

    def set_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take what users have."""
        self._own = OwnItems(user_E, item_E, self.shape.num_items)

    def drop_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take some of it away; what was learned from it stays."""
        self.own.change(user_E, item_E, -1)

    def restore_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Put back what was taken away."""
        self.own.change(user_E, item_E, 1)
