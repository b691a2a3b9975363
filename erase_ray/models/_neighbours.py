"""Lists of nearest neighbours, some of which change."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from erase_ray.models._strongest import strongest


@dataclass(frozen=True, eq=False)
class Near:
    """Similarities above 0, one an entry.

    Args:
        item_E: Whose neighbour it is.
        other_E: The neighbour.
        similarity_E: float32.
    """

    item_E: Tensor
    other_E: Tensor
    similarity_E: Tensor

    def of(self, is_meant_E: Tensor) -> "Near":
        """Some of the entries, by a bool an entry."""
        return Near(
            self.item_E[is_meant_E], self.other_E[is_meant_E], self.similarity_E[is_meant_E]
        )


@dataclass(frozen=True, eq=False)
class Lists:
    """The K nearest neighbours of some items, nearest first; of equally near ones the lower id.

    Args:
        item_R: Whose neighbours they are, ascending.
        neighbour_RK: 0 behind the end of a short list.
        similarity_RK: float32, 0 behind the end.
    """

    item_R: Tensor
    neighbour_RK: Tensor
    similarity_RK: Tensor

    @classmethod
    def made_of(cls, near: Near, item_R: Tensor, k: int) -> "Lists":
        """The lists of ``item_R`` from entries sorted by item, then neighbour."""
        row_E = torch.searchsorted(item_R, near.item_E)
        length_R = torch.bincount(row_E, minlength=len(item_R))
        similarity_RK, place_RK = strongest(near.similarity_E, length_R, k)
        # one more, so that there is one even if there are none
        other_E = functional.pad(near.other_E, (0, 1))
        return cls(item_R, other_E[place_RK] * (similarity_RK > 0), similarity_RK)

    def replaced(self, is_changed_I: Tensor, near: Near) -> tuple["Lists", Tensor]:
        """The lists with other similarities to some neighbours.

        Args:
            is_changed_I: bool, shape ``(I,)``: True for these neighbours, all in no list any more.
            near: Where they belong; entries of items of these lists, in any order.

        Returns:
            The lists that this may change, and a bool for each: True if the list was longer than
            K and one that was behind its end may be in it now, so it must be made anew.
        """
        is_gone_RK = is_changed_I[self.neighbour_RK] & (self.similarity_RK > 0)
        row_E = torch.searchsorted(self.item_R, near.item_E)
        comes_E = near.similarity_E >= self.similarity_RK[row_E, -1]
        is_meant_R = is_gone_RK.any(1)
        is_meant_R[row_E[comes_E]] = True
        meant = Lists(*(values[is_meant_R] for values in vars(self).values()))
        entries = meant._entries(~is_gone_RK[is_meant_R], near.of(comes_E), len(is_changed_I))
        made = Lists.made_of(entries, meant.item_R, self.neighbour_RK.shape[1])
        return made, made._ends_before(meant)

    def _entries(self, stays_RK: Tensor, more: Near, num_items: int) -> Near:
        """What stays, and more, sorted."""
        row_M, column_M = (stays_RK & (self.similarity_RK > 0)).nonzero(as_tuple=True)
        item_E = torch.cat([self.item_R[row_M], more.item_E])
        other_E = torch.cat([self.neighbour_RK[row_M, column_M], more.other_E])
        similarity_E = torch.cat([self.similarity_RK[row_M, column_M], more.similarity_E])
        order_E = (item_E * num_items + other_E).argsort()
        return Near(item_E[order_E], other_E[order_E], similarity_E[order_E])

    def _ends_before(self, old: "Lists") -> Tensor:
        """True where the last neighbour was there, and is farther than it was; shape ``(R,)``."""
        last_R, old_R = self.similarity_RK[:, -1], old.similarity_RK[:, -1]
        is_behind_R = self.neighbour_RK[:, -1] > old.neighbour_RK[:, -1]
        return (old_R > 0) & ((last_R < old_R) | (last_R == old_R) & is_behind_R)
