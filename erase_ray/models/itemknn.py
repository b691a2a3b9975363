"""Items like those that a user has."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from erase_ray.models._base import MODELS, Shape
from erase_ray.models._baseline import TrainingRows
from erase_ray.models._neighbours import Lists, Near
from erase_ray.models._own_items import OwnItems, OwnItemsBaseline
from erase_ray.models._pieces import pieces
from erase_ray.settings import Frozen
from erase_ray.tasks._arrays import ragged
from erase_ray.tasks._batches import PairBatch

MOST_TERMS = 1 << 20
"""Terms of the scores that are added at once."""
_Lists = tuple[Tensor, Tensor, Tensor]


@MODELS.register
class ItemKnn(OwnItemsBaseline):
    """The score is the sum of the similarities to the items the user has, times their counts.

    The similarity of two items is the cosine of their columns of the user-by-item matrix of
    counts, and counts only if one is among the ``k`` nearest of the other; of equally near ones
    those with the lower ids.

    Paper: Deshpande, Karypis, "Item-based Top-N Recommendation Algorithms", TOIS 2004.
    Differs from it: the neighbours are those of the item that is scored, as in the benchmark;
    ``nearest_of="owned"`` is the paper's rule.
    On a CPU sums are taken in a fixed order; on a GPU their last bits may differ between runs.
    """

    class Settings(Frozen):
        """Settings of `ItemKnn`."""

        k: int = Field(default=100, ge=1)
        """Neighbours that are kept of each item."""
        shrink: float = Field(default=0.0, ge=0)
        """Added to the product of the norms: lowers similarities that rest on few users."""
        nearest_of: Literal["scored", "owned"] = "scored"
        """Whose neighbours count: an item that is scored listens to its own k nearest, or an item
        that the user has speaks for its own k nearest."""

    neighbour_IK: Tensor
    similarity_IK: Tensor

    def __init__(self, settings: Settings, shape: Shape) -> None:
        super().__init__(settings, shape)
        size = (shape.num_items, min(settings.k, shape.num_items))
        self.register_buffer("neighbour_IK", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("similarity_IK", torch.zeros(size))
        self._lists: _Lists | None = None

    def fit(self, rows: TrainingRows) -> None:
        """Keep the nearest neighbours of each item; short lists end in similarities of 0."""
        own = OwnItems(rows.user_N, rows.item_N, self.shape.num_items)
        item_I = torch.arange(self.shape.num_items, device=rows.item_N.device)
        for _ in self._anew(own, own.squares(), item_I):
            pass

    def remove(self, rows: TrainingRows, left: TrainingRows) -> dict[str, float]:
        """Count again what the items of the rows have in common with others, and nothing else.

        Their lists are made anew; in those of others they go where their new similarity puts them.
        Lists in which something behind the end may move up are made anew as well.

        Returns:
            ``num_lists``, how many lists may have changed, and ``num_counted``, how many of them
            were made anew.
        """
        self.drop_edges(rows.user_N, rows.item_N)
        square_I, item_J = self.own.squares(), torch.unique(rows.item_N)
        is_changed_I = torch.zeros_like(square_I, dtype=torch.bool)
        is_changed_I[item_J] = True
        parts = list(self._anew(self.own, square_I, item_J))
        item_E, other_E, cosine_E = (torch.cat(part) for part in zip(*parts, strict=True))
        near = Near(other_E, item_E, cosine_E).of(~is_changed_I[other_E])
        near_R = torch.unique(torch.cat([near.item_E, rows.item_N, left.item_N]))
        near_R = near_R[~is_changed_I[near_R]]
        lists, is_short_R = self._lists_of(near_R).replaced(is_changed_I, near)
        self._set(lists)
        short_R = lists.item_R[is_short_R]
        for _ in self._anew(self.own, square_I, short_R):
            pass
        self.restore_edges(rows.user_N, rows.item_N)
        num_lists = float(len(item_J) + len(is_short_R))
        return {"num_lists": num_lists, "num_counted": float(len(item_J) + len(short_R))}

    def _anew(
        self, own: OwnItems, square_I: Tensor, item_N: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Make some lists anew; yields item, other item and similarity of all that are similar."""
        self.neighbour_IK[item_N] = 0
        self.similarity_IK[item_N] = 0
        for item_C, other_C, joint_C in own.joint_counts(item_N):
            norms_C = (square_I[item_C] * square_I[other_C]).sqrt()
            cosine_C = (joint_C / (norms_C + self.settings.shrink)).float()
            is_other_C = item_C != other_C
            near = Near(item_C, other_C, cosine_C).of(is_other_C)
            found_N = torch.unique_consecutive(near.item_E)
            self._set(Lists.made_of(near, found_N, self.neighbour_IK.shape[1]))
            yield near.item_E, near.other_E, near.similarity_E

    def _lists_of(self, item_R: Tensor) -> Lists:
        return Lists(item_R, self.neighbour_IK[item_R], self.similarity_IK[item_R].float())

    def _set(self, lists: Lists) -> None:
        self.neighbour_IK[lists.item_R] = lists.neighbour_RK
        self.similarity_IK[lists.item_R] = lists.similarity_RK.to(self.similarity_IK.dtype)

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Inside, the neighbours are laid out by the item that a user has."""
        self._lists = self._by_owned()
        try:
            yield
        finally:
            self._lists = None

    def scores(self, batch: PairBatch) -> Tensor:
        """Sums over the items of each user, in ascending order of those, shape ``(B, I)``."""
        offset_I, target_V, value_V = self._lists or self._by_owned()
        own = self.own.of(batch.user_B)
        row_M, count_M = own.owner_M * self.shape.num_items, own.count_M.to(value_V.dtype)
        start_M, length_M = offset_I[own.item_M], offset_I[own.item_M + 1] - offset_I[own.item_M]
        flat = value_V.new_zeros(len(batch) * self.shape.num_items)
        for piece in pieces(length_M, MOST_TERMS):
            place_T, owner_T = ragged(start_M[piece], length_M[piece])
            cell_T = row_M[piece][owner_T] + target_V[place_T]
            flat.index_add_(0, cell_T, count_M[piece][owner_T] * value_V[place_T])
        return flat.view(len(batch), self.shape.num_items)

    def _by_owned(self) -> _Lists:
        """For each item that a user may have, what it adds to which items.

        Returns:
            Offsets, shape ``(I + 1,)``; items that are scored and similarities, shape ``(V,)``.
        """
        num_items = self.shape.num_items
        item_V, column_V = (self.similarity_IK > 0).nonzero(as_tuple=True)
        owned_V, target_V = self.neighbour_IK[item_V, column_V], item_V
        value_V = self.similarity_IK[item_V, column_V]
        if self.settings.nearest_of == "owned":
            owned_V, target_V = target_V, owned_V
        order_V = owned_V.argsort(stable=True)
        offset_I = owned_V.new_zeros(num_items + 1)
        offset_I[1:] = torch.bincount(owned_V, minlength=num_items).cumsum(0)
        return offset_I, target_V[order_V], value_V[order_V]
