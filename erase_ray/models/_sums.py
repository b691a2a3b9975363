"""Gradients of a whole batch from those of its parts."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from erase_ray.models._narrow import RowTable
from erase_ray.models._sharded import Shard, shard_of
from erase_ray.team import Team

FEWEST_ENTRIES = 1 << 18
"""Entries of a table from which on it pays to agree on the rows that were read."""


class Sums:
    """Adds up the gradients of all members of a team.

    Most of them are sent as they are, after the backward pass: the gradient of the table at the
    input, nearly all there is to send, is the last to be ready, so there is little to overlap.
    Of a large table that is read by rows alone only the rows that some member read are sent.

    Args:
        model: Whose weights.
        weights: Those with a gradient of their own.
        team: All members have the same weights.
    """

    def __init__(self, model: nn.Module, weights: Iterable[Tensor], team: Team) -> None:
        weights = list(weights)
        self._team = team
        self._shards: list[Shard] = [s for s in map(shard_of, weights) if s is not None]
        self._weights = [weight for weight in weights if shard_of(weight) is None]
        known = {id(w) for w in self._weights if w.numel() >= FEWEST_ENTRIES}
        self._tables = [
            table
            for table in model.modules()
            if isinstance(table, RowTable) and id(table.weight) in known
        ]

    def listen(self) -> None:
        """Begin to note what is read of the tables, before the loss of a part is computed."""
        for table in self._tables:
            table.record()

    def combine(self) -> None:
        """Replace all gradients by their sums over the members."""
        apart = set()
        read = [(table, table.recorded()) for table in self._tables]
        found = [(table, places) for table, places in read if places is not None]
        counts = self._team.numbers([len(places) for _, places in found]) if found else []
        for (table, place_N), *sizes in zip(found, *counts, strict=True):
            if 2 * sum(sizes) <= len(table.weight):
                self._add_rows(table.weight, place_N, sizes)
                apart.add(id(table.weight))
        grads = [w.grad for w in self._weights if w.grad is not None and id(w) not in apart]
        self._team.add(grads)
        for shard in self._shards:
            shard.collect()

    def close(self) -> None:
        """Note no more."""
        for table in self._tables:
            table.recorded()

    def _add_rows(self, weight: Tensor, place_N: Tensor, sizes: list[int]) -> None:
        """Sum up rows, whoever has them, in the order of the members."""
        grad = weight.grad
        assert grad is not None
        rows_TD = self._team.gather(grad.index_select(0, place_N), sizes)
        place_T = self._team.gather(place_N, sizes)
        grad.index_fill_(0, place_N, 0)
        # places of one member are distinct, so the order is fixed on any device
        for own_N, rows_ND in zip(place_T.split(sizes), rows_TD.split(sizes), strict=True):
            grad.index_add_(0, own_N, rows_ND)


def sum_of_entries(flat: Tensor, grad: Tensor, team: Team) -> tuple[Tensor, Tensor]:
    """Distinct positions with a gradient anywhere, and the sums of their gradients.

    Args:
        flat: Distinct positions, int64, shape ``(N,)``, with a gradient here; maybe none.
        grad: The gradients, shape ``(N,)``.
        team: Adds up in the order of its members.
    """
    sizes = [size for (size,) in team.numbers([len(flat)])]
    grads = team.gather(grad, sizes)
    flat, place = torch.unique(team.gather(flat, sizes), return_inverse=True)
    total = grads.new_zeros(len(flat))
    for own_N, grad_N in zip(place.split(sizes), grads.split(sizes), strict=True):
        total.index_add_(0, own_N, grad_N)  # distinct, so the order is fixed on any device
    return flat, total
