"""What a model is given at once, one type a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Users with an item they chose and one they did not; all int64, shape ``(B,)``."""

    user_B: Tensor
    item_B: Tensor | None = None
    negative_B: Tensor | None = None

    @classmethod
    def joined(cls, batches: "Sequence[PairBatch]") -> "PairBatch":
        """Several batches with targets as one, in their order."""
        columns = zip(*((b.user_B, b.item_B, b.negative_B) for b in batches), strict=True)
        return cls(*(torch.cat(column) for column in columns))

    def __len__(self) -> int:
        return len(self.user_B)


@dataclass(frozen=True, eq=False)
class WindowBatch:
    """The latest items of sequences, oldest first, filled up on the right.

    ``items_BL`` and ``length_B`` (1 to L) are int64; what stands behind the length is 0 and means
    nothing. ``target_B`` is the item that came next, ``sequence_B`` the sequence that the window is
    cut from. ``sizes`` are the numbers of windows that reach each step, on the host, so that
    packing asks nothing of the device (see :class:`erase_ray.models._packing.Packing`).
    """

    items_BL: Tensor
    length_B: Tensor
    target_B: Tensor | None = None
    sequence_B: Tensor | None = None
    sizes: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.length_B)


@dataclass(frozen=True, eq=False)
class BasketBatch:
    """Histories of baskets, flat; all int64.

    Item ``item_M[m]`` lies in basket ``basket_M[m]`` (0 to K-1, over the whole batch, ascending).
    Basket k belongs to example ``owner_K[k]`` (ascending); baskets of an example are in time
    order, items of a basket ascending and without repeats. ``target_T[t]`` is an item of the next
    basket of example ``target_owner_T[t]``.
    """

    item_M: Tensor
    basket_M: Tensor
    owner_K: Tensor
    num_baskets_B: Tensor
    target_T: Tensor | None = None
    target_owner_T: Tensor | None = None

    def __len__(self) -> int:
        return len(self.num_baskets_B)
