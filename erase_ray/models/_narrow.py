"""Tables that are read at a few places at a time, and can be swapped for those places alone."""

import torch
from torch import Tensor, nn

from erase_ray.models._sharded import shard_of

_OUTSIDE = "a narrowed table was read at a place that it does not hold"


class Narrow(nn.Module):
    """A table with one parameter ``weight`` that a loss reads through :meth:`read` alone.

    A gradient of the table's own size is zero but for the places that were read. So whoever knows
    beforehand what will be read can find out where (:meth:`record`), put a small leaf tensor in
    the table's stead (:meth:`narrow`), and work with that: gradients, second derivatives and
    optimiser steps at the places are the same, and everywhere else there is nothing to do.
    """

    weight: nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[Tensor] | None = None
        self._places: Tensor | None = None
        self._leaf: Tensor | None = None

    @property
    def flat(self) -> Tensor:
        """The weight with one place of the table in each entry of the first dimension."""
        return self.weight

    def record(self) -> None:
        """Begin to note which places are read."""
        self._seen = []

    def recorded(self) -> Tensor | None:
        """End noting; places read since, distinct and ascending, int64; None if none was read."""
        seen, self._seen = self._seen, None
        return torch.unique(torch.cat(seen)) if seen else None

    def narrow(self, places_M: Tensor, leaf: Tensor) -> None:
        """Until :meth:`widen`, read from ``leaf``, whose first dimension is ``places_M``.

        Args:
            places_M: Distinct and ascending, int64.
            leaf: The entries of :attr:`flat` at those places.
        """
        self._places, self._leaf = places_M, leaf

    def widen(self) -> None:
        """Read from the weight again."""
        self._places = self._leaf = None

    def read(self, place_N: Tensor) -> Tensor:
        """The entries at ``place_N``, which may repeat.

        Raises:
            RuntimeError: The table is narrowed, and not to all of them.
        """
        if self._seen is not None:
            self._seen.append(place_N.detach().flatten())
        if self._places is None or self._leaf is None:
            shard = shard_of(self.weight)
            if shard is not None:
                return shard.rows(place_N)
            # the gradient of a selection is much cheaper than that of an embedding on the CPU
            return self.flat.index_select(0, place_N)
        index_N = torch.searchsorted(self._places, place_N).clamp_(max=len(self._places) - 1)
        is_there = (self._places[index_N] == place_N).all()
        torch.ops.aten._assert_async.msg(is_there, _OUTSIDE)
        return self._leaf.index_select(0, index_N)


class RowTable(Narrow):
    """A table of vectors, one row an id; stored as ``nn.Embedding`` stores it."""

    def __init__(self, num_rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors of ``ids``, shape ``(..., D)``."""
        return self.read(ids.flatten()).view(*ids.shape, -1)
