"""A square table over all items of which a batch needs only small blocks."""

import torch
from torch import Tensor, nn

from erase_ray.models._narrow import Narrow


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
        lends = self._lending and torch.is_grad_enabled() and self.weight.requires_grad
        if lends:
            block = self.flat.detach().index_select(0, flat)
            self._lent.append((flat, block.requires_grad_()))
        else:
            block = self.read(flat)
        return block.view(len(items_H), len(items_H))
