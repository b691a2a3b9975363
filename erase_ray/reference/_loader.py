"""Mini-batches in a new random order at every pass."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.tasks import Examples


class Loader:
    """Examples in shuffled mini-batches; order and negatives are drawn anew at every pass.

    Args:
        examples: May be empty; there are no mini-batches then.
        size: Most examples of a mini-batch.
        seed: Root of the draws.
    """

    def __init__(self, examples: Examples, size: int, seed: int) -> None:
        self.examples = examples
        self._size = size
        self._seed = seed
        self._passes = 0

    def walk(self) -> Iterator[Tensor]:
        """Positions of the examples of one mini-batch after the other, int64, ``(B,)``."""
        self._passes += 1
        places = torch.arange(len(self.examples), device=self.examples.rows.device)
        order = seeds.order(seeds.derive(self._seed, "order", self._passes), places)
        if len(order):
            yield from order.split(self._size)

    def batch(self, index: Tensor) -> Any:
        """The examples at some positions, with the negatives of this pass."""
        draw = seeds.derive(self._seed, "negatives", self._passes)
        return self.examples.batch(index, draw)

    def batches(self, most: int | None = None) -> Iterator[Any]:
        """A pass over the first ``most`` examples, all by default; the last one is cut short."""
        left = len(self.examples) if most is None else most
        for index in self.walk():
            index = index[:left]
            if not len(index):
                return
            left -= len(index)
            yield self.batch(index)
