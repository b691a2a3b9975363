"""Items that a user does not have, drawn by counter on the device."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from erase_ray import seeds

NUM_ATTEMPTS = 16
"""Draws from the whole catalogue before one from the free items alone."""
MAP_CELLS = 1 << 28
"""Largest users x items table of one byte a cell that is looked up instead of searched."""


@dataclass(frozen=True, eq=False)
class Taken:
    """Which items each user has.

    Args:
        keys: Distinct ``user * num_items + item``, ascending, int64.
        num_items: Size of the catalogue.
    """

    keys: Tensor
    num_items: int

    def negatives(self, user_B: Tensor, row_B: Tensor, seed: int) -> Tensor:
        """One item for each example, uniform among those that its user does not have.

        The first of :data:`NUM_ATTEMPTS` draws from all items that is free; where none is, one draw
        from the free ones. So taking away a row moves no more than the draws that hit its item,
        and nothing is asked of the device on the way. A user who has every item gets any.

        Args:
            user_B: Shape ``(B,)``.
            row_B: Row ids, which the draws depend on.
            seed: Root of the draws.
        """
        negative_B = self._draw(row_B, seed, 0)
        if negative_B.is_cuda:
            return self._redrawn(negative_B, user_B, row_B, seed)
        open_K = self._has(user_B, negative_B).nonzero().flatten()
        for attempt in range(1, NUM_ATTEMPTS):
            if not len(open_K):
                return negative_B
            negative_B[open_K] = drawn_K = self._draw(row_B[open_K], seed, attempt)
            open_K = open_K[self._has(user_B[open_K], drawn_K)]
        negative_B[open_K] = self._free(user_B[open_K], row_B[open_K], seed)
        return negative_B

    def _redrawn(self, negative_B: Tensor, user_B: Tensor, row_B: Tensor, seed: int) -> Tensor:
        """The same without looking at what is left to draw, for all of them at every attempt."""
        for attempt in range(1, NUM_ATTEMPTS):
            is_taken_B = self._has(user_B, negative_B)
            negative_B = torch.where(is_taken_B, self._draw(row_B, seed, attempt), negative_B)
        return torch.where(
            self._has(user_B, negative_B), self._free(user_B, row_B, seed), negative_B
        )

    def _draw(self, row_B: Tensor, seed: int, attempt: int) -> Tensor:
        return seeds.below(self.num_items, seeds.derive(seed, "negative", attempt), row_B)

    def _has(self, user_B: Tensor, item_B: Tensor) -> Tensor:
        key_B = user_B * self.num_items + item_B
        if self._map is not None:
            return self._map[key_B]
        if not len(self.keys):
            return torch.zeros_like(key_B, dtype=torch.bool)
        place_B = torch.searchsorted(self.keys, key_B).clamp_(max=len(self.keys) - 1)
        return self.keys[place_B] == key_B

    def _free(self, user_B: Tensor, row_B: Tensor, seed: int) -> Tensor:
        """The r-th item that the user does not have, r drawn; for full users any item."""
        first_B, end_B = (
            torch.searchsorted(self.keys, (user_B + shift) * self.num_items) for shift in (0, 1)
        )
        num_free_B = self.num_items - (end_B - first_B)
        is_full_B = num_free_B == 0
        drawn = seeds.hash_ids(seeds.derive(seed, "negative", NUM_ATTEMPTS), row_B)
        rank_B = ((drawn >> 33 & (1 << 31) - 1) * num_free_B.clamp(min=1)) >> 31
        wanted_B = user_B * self.num_items + rank_B
        skipped_B = torch.searchsorted(self._gaps, wanted_B, right=True) - first_B
        return torch.where(is_full_B, self._draw(row_B, seed, 0), rank_B + skipped_B)

    @cached_property
    def _map(self) -> Tensor | None:
        """True at the keys, where such a table pays."""
        users = int(self.keys[-1]) // self.num_items + 1 if len(self.keys) else 0
        cells = users * self.num_items
        if not cells or cells > MAP_CELLS or cells > 1024 * len(self.keys):
            return None
        table = torch.zeros(cells, dtype=torch.bool, device=self.keys.device)
        table[self.keys] = True
        return table

    @cached_property
    def _gaps(self) -> Tensor:
        """Each key less the number of the same user's keys before it: still ascending."""
        user_K = self.keys // self.num_items
        first_K = torch.searchsorted(self.keys, user_K * self.num_items)
        place_K = torch.arange(len(self.keys), device=self.keys.device)
        return self.keys - (place_K - first_K)
