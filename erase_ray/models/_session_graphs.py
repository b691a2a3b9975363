"""Sessions as small directed graphs, cut from flat rows without a loop."""

from dataclasses import dataclass

import torch
from torch import Tensor

from erase_ray.models._flat import Flat


@dataclass(frozen=True, eq=False)
class SessionGraphs:
    """The graphs of a batch of windows side by side.

    A node is an item of a window, however often it comes. There is an edge from an item to the
    next, once for each pair. On the CPU there are as many node slots M as nodes, and as many item
    slots U as distinct items; elsewhere, where these numbers would have to be waited for, there
    are as many as there can be. Behind the last node stands item 0 of the first window, which
    comes 0 times there. Of equal edges all but one weigh nothing.

    Args:
        item_U: The distinct items, ascending.
        place_M: Item of each node, as a place in ``item_U``; nodes of a window lie together,
            lower items first.
        window_M: Window of each node.
        count_M: How often the item comes in the window.
        last_B: Node of the latest item of each window.
        source_E: Node that each edge leaves.
        target_E: Node that it reaches.
        in_E: 1 / (edges that reach the target).
        out_E: 1 / (edges that leave the source).
    """

    item_U: Tensor
    place_M: Tensor
    window_M: Tensor
    count_M: Tensor
    last_B: Tensor
    source_E: Tensor
    target_E: Tensor
    in_E: Tensor
    out_E: Tensor

    @classmethod
    def of(
        cls, flat: Flat, num_items: int, dtype: torch.dtype, waits: bool | None = None
    ) -> "SessionGraphs":
        """The graphs of the windows.

        Args:
            flat: Rows of the windows, at least one.
            num_items: Size of the catalogue.
            dtype: Type of counts and weights.
            waits: Whether to ask the device for sizes if that is not to be chosen as above.
        """
        if waits is None:
            waits = flat.item_N.device.type == "cpu"
        most = len(flat), min(len(flat), num_items)
        key_M, node_N = _numbered(flat.window_N * num_items + flat.item_N, most[0], waits)
        window_M = torch.div(key_M, num_items, rounding_mode="floor")
        item_U, place_M = _numbered(key_M - window_M * num_items, most[1], waits)
        count_M = torch.zeros(len(key_M), dtype=dtype, device=key_M.device)
        count_M.index_add_(0, node_N, torch.ones_like(node_N, dtype=dtype))
        next_E = flat.followers()
        edges = _edges(node_N[next_E - 1], node_N[next_E], len(key_M), dtype)
        return cls(item_U, place_M, window_M, count_M, node_N[flat.last_B], *edges)


def _numbered(key_N: Tensor, most: int, waits: bool) -> tuple[Tensor, Tensor]:
    """Distinct keys, ascending, and the number of each key among them.

    Filled up with zeros to ``most`` unless the device may be asked how many there are.
    """
    key_N, order_N = key_N.sort()
    rank_N = _is_first(key_N).cumsum(0) - 1
    number_N = torch.empty_like(rank_N).index_copy_(0, order_N, rank_N)
    size = int(rank_N[-1]) + 1 if waits else most
    return key_N.new_zeros(size).index_copy_(0, rank_N, key_N), number_N


def _edges(
    source_E: Tensor, target_E: Tensor, num_nodes: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sources, targets and both weights, ordered by source."""
    key_E = (source_E * num_nodes + target_E).sort().values
    source_E = torch.div(key_E, num_nodes, rounding_mode="floor")
    target_E = key_E - source_E * num_nodes
    is_edge_E = _is_first(key_E).to(dtype)
    weights = []
    for end_E in (target_E, source_E):
        degree_M = torch.zeros(num_nodes, dtype=dtype, device=key_E.device)
        degree_M.index_add_(0, end_E, is_edge_E)
        weights.append(is_edge_E / degree_M[end_E])
    return source_E, target_E, weights[0], weights[1]


def _is_first(sorted_N: Tensor) -> Tensor:
    """True at the first of each run of equal numbers."""
    first_N = torch.ones_like(sorted_N, dtype=torch.bool)
    torch.ne(sorted_N[1:], sorted_N[:-1], out=first_N[1:])
    return first_N
