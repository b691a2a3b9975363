"""Which items of a history were bought together, at each of its steps, without repeats.

At step t only the items of basket t mix. Any other node (an item of an example's history) is
scaled by its own weight, whatever t is. So instead of nodes x steps it takes a row for each item
of each basket (a *visit*), one for each node at all steps without it (*idle*) and, if they are
asked for, one for each node at the steps that fill up its history to the longest (*pad*).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from erase_ray.models._share import batch_count, batch_longest
from erase_ray.tasks._arrays import ragged
from erase_ray.tasks._batches import BasketBatch

WORD = 62
"""Steps whose marks share an integer."""


@dataclass(frozen=True, eq=False)
class Visits:
    """The items of all baskets, by node, then by step; all int64.

    Args:
        row_V: Row of each visit.
        node_V: Its node, ascending.
        rank_V: Earlier visits of the node.
        step_V: Its step, from 0.
        gap_V: Steps until the next visit of the node, or the end, both left out.
        first_N: The first visit of each node.
        num_pairs: Sum of ``rank_V + 1`` on the host, or None if it is not known there.
        num_gaps: The same of ``gap_V``.
    """

    row_V: Tensor
    node_V: Tensor
    rank_V: Tensor
    step_V: Tensor
    gap_V: Tensor
    first_N: Tensor
    num_pairs: int | None
    num_gaps: int | None


@dataclass(frozen=True, eq=False)
class Links:
    """A symmetric matrix over rows, by row."""

    start_R: Tensor
    column_P: Tensor
    weight_P: Tensor

    def mix(self, values_RD: Tensor) -> Tensor:
        """The product with the matrix; it can be differentiated any number of times."""
        return _Mix.apply(values_RD, self)  # type: ignore

    def product(self, values_RD: Tensor) -> Tensor:
        """The same without a gradient."""
        return functional.embedding_bag(
            self.column_P,
            values_RD,
            self.start_R,
            mode="sum",
            per_sample_weights=self.weight_P.to(values_RD.dtype),
            include_last_offset=True,
        )


@dataclass(frozen=True, eq=False)
class BasketGraphs:
    """The graphs of a batch.

    Rows are the visits in the order of the batch, then the idle rows of all nodes, then, if there
    are any, their pads.

    Args:
        key_N: ``example * num_items + item`` of each node, ascending.
        owner_N: Example of each node.
        item_N: Item of each node.
        item_R: Item of each row.
        times_R: Steps that each row stands for, of the type of a weight; 0 is possible.
        num_times: Sum of ``times_R`` over the batch, on the host.
        longest: Steps of the longest history of the batch, on the host.
        links: What each row takes from which.
        visits: The visits by node.
    """

    key_N: Tensor
    owner_N: Tensor
    item_N: Tensor
    item_R: Tensor
    times_R: Tensor
    num_times: int
    longest: int
    links: Links
    visits: Visits

    @classmethod
    def of(cls, batch: BasketBatch, num_items: int, pads: bool, like: Tensor) -> "BasketGraphs":
        """The graphs of the histories of a batch; the device is asked once.

        Args:
            batch: Histories.
            num_items: Items of the catalogue.
            pads: Whether there are pad rows.
            like: A tensor of the type that weights shall have.
        """
        owner_M = batch.owner_K[batch.basket_M]
        size_K = torch.zeros_like(batch.owner_K).index_add(
            0, batch.basket_M, torch.ones_like(owner_M)
        )
        visits, key_V, counts = _visits(batch, owner_M, size_K, num_items)
        num_nodes, num_links, longest, num_times = counts
        longest = batch_longest(longest)
        num_times = batch_count(num_nodes * longest if pads else num_times)
        key_N = key_V[visits.first_N]
        owner_N, item_N = key_N // num_items, key_N % num_items
        steps_N = batch.num_baskets_B[owner_N]
        idle_N = steps_N - torch.zeros_like(steps_N).index_add(
            0, visits.node_V, torch.ones_like(owner_M)
        )
        extra = 2 if pads else 1
        times = [torch.ones_like(owner_M), idle_N, longest - steps_N][: 1 + extra]
        return cls(
            key_N,
            owner_N,
            item_N,
            torch.cat([batch.item_M, *extra * [item_N]]),
            torch.cat(times).to(like.dtype),
            num_times,
            longest,
            _links(batch, visits, (owner_M, owner_N, size_K), (num_links, longest), extra, like),
            visits,
        )


class _Mix(torch.autograd.Function):
    """The matrix is its own transpose, so the gradient is the same product."""

    @staticmethod
    def forward(ctx: Any, values_RD: Tensor, links: Links) -> Tensor:
        ctx.links = links
        return links.product(values_RD)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return _Mix.apply(grads[0], ctx.links), None  # type: ignore


def _visits(
    batch: BasketBatch, owner_M: Tensor, size_K: Tensor, num_items: int
) -> tuple[Visits, Tensor, tuple[int, int, int, int]]:
    """Visits, their keys, and numbers: of nodes, of links, the longest history, nodes x steps."""
    num_B = batch.num_baskets_B
    basket_K = torch.arange(len(size_K), device=size_K.device)
    step_K = basket_K - (num_B.cumsum(0) - num_B)[batch.owner_K]
    key_V, row_V = (owner_M * num_items + batch.item_M).sort(stable=True)
    is_first_V = torch.ones_like(key_V, dtype=torch.bool)
    is_first_V[1:] = key_V[1:] != key_V[:-1]
    place_V = torch.arange(len(key_V), device=key_V.device)
    first_V = torch.where(is_first_V, place_V, 0).cummax(0).values
    rank_V, step_V = place_V - first_V, step_K[batch.basket_M[row_V]]
    end_V = num_B[owner_M[row_V]]
    next_V = torch.where(is_first_V.roll(-1), end_V, step_V.roll(-1))
    gap_V = next_V - step_V - 1
    sums = (is_first_V, size_K * size_K, is_first_V * end_V, rank_V + 1, gap_V)
    counts = torch.stack([*(each.sum() for each in sums), num_B.max()]).tolist()
    node_V = is_first_V.cumsum(0) - 1
    first_N = place_V.new_zeros(counts[0]).scatter(0, node_V, first_V)
    visits = Visits(row_V, node_V, rank_V, step_V, gap_V, first_N, counts[3], counts[4])
    return visits, key_V, (counts[0], counts[1], counts[5], counts[2])


def _links(
    batch: BasketBatch,
    visits: Visits,
    groups: tuple[Tensor, Tensor, Tensor],
    counts: tuple[int, int],
    extra: int,
    like: Tensor,
) -> Links:
    """Links between the visits of a basket, of an idle row to itself, of a pad to itself (1)."""
    owner_M, owner_N, size_K = groups
    size_M = size_K[batch.basket_M]
    start_M = (size_K.cumsum(0) - size_K)[batch.basket_M]
    column_P, row_P = ragged(start_M, size_M, counts[0])
    together_P = _times_together(visits, row_P, column_P, counts[1])
    both_P = torch.where(column_P == row_P, 1, together_P)
    owner_P = owner_M[row_P]
    most_B = torch.ones_like(batch.num_baskets_B).scatter_reduce(0, owner_P, both_P, "amax")
    most_B = most_B.to(like.dtype)
    own_N = 1 / most_B[owner_N]
    weights = [both_P / most_B[owner_P], own_N, torch.ones_like(own_N)][: 1 + extra]
    alone = torch.arange(len(size_M), len(size_M) + extra * len(own_N), device=size_M.device)
    length_R = torch.cat([size_M, torch.ones_like(alone)])
    start_R = functional.pad(length_R.cumsum(0), (1, 0))
    return Links(start_R, torch.cat([column_P, alone]), torch.cat(weights))


def _times_together(visits: Visits, row_P: Tensor, column_P: Tensor, longest: int) -> Tensor:
    """How many baskets of the history hold both items, for visits of the same basket."""
    node_M = torch.empty_like(visits.node_V).scatter(0, visits.row_V, visits.node_V)
    found_P = torch.zeros_like(row_P)
    for low in range(0, longest, WORD):
        place_V = visits.step_V - low
        inside_V = (place_V >= 0) & (place_V < WORD)
        mark_V = torch.where(inside_V, torch.ones_like(place_V) << place_V.clamp(0, WORD - 1), 0)
        marks_N = torch.zeros_like(visits.first_N).index_add(0, visits.node_V, mark_V)
        marks_M = marks_N[node_M]
        found_P = found_P + _num_marks(marks_M[row_P] & marks_M[column_P])
    return found_P


def _num_marks(word: Tensor) -> Tensor:
    """The number of ones in the binary form of integers from 0 to ``2**WORD - 1``."""
    word = word - ((word >> 1) & 0x5555555555555555)
    word = (word & 0x3333333333333333) + ((word >> 2) & 0x3333333333333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0F
    word = word + (word >> 8)
    word = word + (word >> 16)
    return (word + (word >> 32)) & 0x7F
