"""A square table over all items of which a batch needs only small blocks."""

import torch
from torch import Tensor, nn

from erase_ray.models._narrow import Narrow
from erase_ray.tasks._arrays import ragged


class BlockTable(Narrow):
    """Weights of shape ``(I, I)`` that are read as blocks ``weight[items][:, items]``.

    With tens of thousands of items a gradient of the table's own size costs more than everything
    else in a step. While :meth:`lend` is on, a block is therefore handed out as a leaf of its own
    that collects its own gradient, and the table gets none; an optimiser that knows the table
    (:class:`erase_ray.models._adam.Adam`) picks the blocks up. Otherwise blocks are plain
    indexing, with a dense gradient if the weight asks for one.
    """

    def __init__(self, num_items: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_items, num_items))
        self._lending = False
        self._lent: list[tuple[Tensor, Tensor]] = []

    @property
    def flat(self) -> Tensor:
        """All weights in one row."""
        return self.weight.view(-1)

    def lend(self, on: bool) -> None:
        """Begin or end handing out blocks as leaves."""
        self._lending = on
        self._lent.clear()

    def collect(self) -> list[tuple[Tensor, Tensor]]:
        """Blocks lent since the last call that have a gradient.

        Returns:
            For each the flat positions in the table, int64, and the block, both of length
            ``H * H``; positions of a block are distinct.
        """
        lent, self._lent = self._lent, []
        return [(flat, block) for flat, block in lent if block.grad is not None]

    def block(self, items_H: Tensor) -> Tensor:
        """The weights from each of some distinct items to each, shape ``(H, H)``."""
        flat = (items_H[:, None] * len(self.weight) + items_H).view(-1)
        if self._lends():
            block = self.flat.detach().index_select(0, flat)
            self._lent.append((flat, block.requires_grad_()))
        else:
            block = self.read(flat)
        return block.view(len(items_H), len(items_H))

    def products(self, items_H: Tensor, values_H: Tensor, sizes: list[int]) -> Tensor:
        """Block after block, its product with its values, shape ``(H,)``.

        Args:
            items_H: Distinct items of each block, one block after the other.
            values_H: What they are multiplied by.
            sizes: Items of each block.
        """
        if len(sizes) == 1 or not self._collects():
            pairs = zip(items_H.split(sizes), values_H.split(sizes), strict=True)
            return torch.cat([self.block(items) @ values for items, values in pairs])
        # each selection would have a gradient of the size of all that is selected from
        size_B = torch.tensor(sizes, device=items_H.device)
        start_B = size_B.cumsum(0) - size_B
        place_T, owner_T = ragged(
            start_B.repeat_interleave(size_B), size_B.repeat_interleave(size_B)
        )
        weight_T = self.read(items_H[owner_T] * len(self.weight) + items_H[place_T])
        terms_T = weight_T * values_H.index_select(0, place_T)
        return terms_T.new_zeros(len(items_H)).index_add(0, owner_T, terms_T)

    def _collects(self) -> bool:
        """Whether what is read adds to one gradient of the table, or of what stands for it."""
        source = self.weight if self._leaf is None else self._leaf
        return torch.is_grad_enabled() and source.requires_grad and not self._lends()

    def _lends(self) -> bool:
        return self._lending and torch.is_grad_enabled() and self.weight.requires_grad
