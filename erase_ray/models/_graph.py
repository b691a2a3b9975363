"""The bipartite graph of training edges on one device, and propagation over it."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class Graph:
    """Users and items as nodes (items behind the users), edges in both directions.

    The matrix is kept as ``D^-1/2 A D^-1/2`` in two parts: the weights ``A`` by row, and the
    degrees. So to take away an edge is to change its two weights, one in the row of the user and
    one in the row of the item, and two degrees. On the CPU a weight of 0 counts as no edge to the
    last bit, because a row is summed up from left to right. A node without edges gets nothing
    from its neighbours, and its degree is read as 1.

    ``start`` and ``column`` are the CSR structure of ``A``, users' rows first, columns ascending;
    ``weight`` are its values.

    Args:
        key_G: The distinct pairs as ``user * num_items + item``, ascending.
        count_G: How many edges there are between the two.
        num_users: Number of users.
        num_items: Number of items.
        collapses: True for weight 1 however many edges there are between two nodes, False for
            their number.
    """

    def __init__(
        self, key_G: Tensor, count_G: Tensor, num_users: int, num_items: int, collapses: bool
    ) -> None:
        self.num_users, self.num_items, self.collapses = num_users, num_items, collapses
        user_G, item_G = key_G // num_items, key_G % num_items
        by_item_G = torch.argsort(item_G, stable=True)
        size_N = torch.bincount(
            torch.cat([user_G, item_G + num_users]), minlength=num_users + num_items
        )
        narrow = torch.int32 if 2 * len(key_G) < 2**31 else torch.int64
        self.start = functional.pad(size_N.cumsum(0), (1, 0)).to(narrow)
        self.column = torch.cat([item_G + num_users, user_G[by_item_G]]).to(narrow)
        self._longest = int(size_N.max())
        self._count = count_G.int()
        self._dropped = torch.zeros_like(self._count)
        weight_G = self._weight_of(count_G)
        self.weight = torch.cat([weight_G, weight_G[by_item_G]]).float()
        self.degree = torch.zeros_like(size_N)
        self.degree.index_add_(0, torch.cat([user_G, item_G + num_users]), weight_G.repeat(2))

    @classmethod
    def of(cls, user_E: Tensor, item_E: Tensor, size: tuple[int, int], collapses: bool) -> "Graph":
        """The graph of edges (user, item), int64; ``size`` is the number of users and items.

        Raises:
            ValueError: An id is not in its table.
        """
        num_users, num_items = size
        _check_range("user", user_E, num_users)
        _check_range("item", item_E, num_items)
        key_E = (user_E * num_items + item_E).sort().values
        key_G, count_G = torch.unique_consecutive(key_E, return_counts=True)
        return cls(key_G, count_G, num_users, num_items, collapses)

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The pairs ever set, as ``user * num_items + item``, and the edges of each now."""
        size_U = self.start[: self.num_users + 1].diff()
        user_U = torch.arange(self.num_users, device=size_U.device)
        user_G = torch.repeat_interleave(user_U, size_U, output_size=len(self._count))
        item_G = self.column[: len(self._count)] - self.num_users
        return user_G * self.num_items + item_G, self._count

    def drop(self, user_K: Tensor, item_K: Tensor) -> Tensor:
        """Take away one edge for each pair, in O(K log d) for rows of at most d edges.

        Returns:
            Which of the edges between the two each one was, counted from 0; the last goes first.

        Raises:
            ValueError: There are not so many edges between two nodes; nothing has changed then.
        """
        return self._change(user_K, item_K, -1)

    def restore(self, user_K: Tensor, item_K: Tensor) -> Tensor:
        """Put back edges that were dropped; the rest as in :meth:`drop`."""
        return self._change(user_K, item_K, 1)

    def propagate(self, ego_ND: Tensor, num_layers: int) -> Tensor:
        """The mean of the vectors after 0 to ``num_layers`` products with the matrix.

        It can be differentiated any number of times.
        """
        return _Propagation.apply(ego_ND, self.weight, self, num_layers)  # type: ignore

    def sum_of_powers(self, ego_ND: Tensor, num_layers: int) -> Tensor:
        """The sum that :meth:`propagate` takes the mean of, without a gradient.

        It is made from the inside out, as E + M(E + M(E + ...)).
        """
        if not num_layers:
            return ego_ND
        scale_N1 = self.scale(ego_ND.dtype)
        scaled_ND = self.scaled_sum(ego_ND, scale_N1, num_layers - 1)
        product_ND = self._product(scaled_ND)
        return torch.addcmul(ego_ND, scale_N1, product_ND, out=product_ND)

    def scaled_sum(self, ego_ND: Tensor, scale_N1: Tensor, num_layers: int) -> Tensor:
        """``scale_N1`` times :meth:`sum_of_powers`."""
        first_ND = scaled_ND = scale_N1 * ego_ND
        square_N1 = scale_N1 * scale_N1
        for _ in range(num_layers):
            product_ND = self._product(scaled_ND)
            scaled_ND = torch.addcmul(first_ND, square_N1, product_ND, out=product_ND)
        return scaled_ND

    def scale(self, dtype: torch.dtype) -> Tensor:
        """One over the root of each degree, shape ``(N, 1)``."""
        return self.degree.clamp(min=1).to(dtype).rsqrt_()[:, None]

    @property
    def num_entries(self) -> int:
        """Entries of the matrix, both directions, also those that are 0 now."""
        return len(self.column)

    def _product(self, table_ND: Tensor) -> Tensor:
        return sums_of_rows(self.start, self.column, self.weight, table_ND)

    def _weight_of(self, count_G: Tensor) -> Tensor:
        return count_G.clamp(max=1) if self.collapses else count_G

    def _change(self, user_K: Tensor, item_K: Tensor, step: int) -> Tensor:
        _check_range("user", user_K, self.num_users)
        _check_range("item", item_K, self.num_items)
        key_K = user_K * self.num_items + item_K
        key_G, place_K, number_G = torch.unique(key_K, return_inverse=True, return_counts=True)
        number_G = number_G.int()
        user_G, node_G = key_G // self.num_items, key_G % self.num_items + self.num_users
        slot_G, is_found_G = self._slots(user_G, node_G)
        there_G = torch.zeros_like(number_G)
        source = self._count if step < 0 else self._dropped
        there_G[is_found_G] = source[slot_G[is_found_G]]
        self._check_there(key_G, there_G, number_G, step)
        before_G = self._count[slot_G]
        after_G = before_G + step * number_G
        self._count[slot_G] = after_G
        self._dropped[slot_G] -= step * number_G
        weight_G = self._weight_of(after_G)
        mirror_G, _ = self._slots(node_G, user_G)
        self.weight[torch.cat([slot_G, mirror_G])] = weight_G.repeat(2).float()
        change_G = (weight_G - self._weight_of(before_G)).long()
        self.degree.index_add_(0, torch.cat([user_G, node_G]), change_G.repeat(2))
        return torch.minimum(before_G, after_G)[place_K] + _ranks(place_K, number_G)

    def _slots(self, row_G: Tensor, column_G: Tensor) -> tuple[Tensor, Tensor]:
        """Where a column stands in a row, by bisection, and whether it does."""
        low_G, end_G = self.start[row_G].long(), self.start[row_G + 1].long()
        last, high_G = len(self.column) - 1, end_G
        if last < 0:
            return low_G, torch.zeros_like(low_G, dtype=torch.bool)
        for _ in range(self._longest.bit_length()):
            middle_G = (low_G + high_G) // 2
            is_below_G = self.column[middle_G.clamp(max=last)] < column_G
            is_below_G &= low_G < high_G
            low_G = torch.where(is_below_G, middle_G + 1, low_G)
            high_G = torch.where(is_below_G, high_G, middle_G)
        return low_G, (low_G < end_G) & (self.column[low_G.clamp(max=last)] == column_G)

    def _check_there(self, key_G: Tensor, there_G: Tensor, number_G: Tensor, step: int) -> None:
        short_G = there_G < number_G
        if not short_G.any():
            return
        key, there, number = (int(each_G[short_G][0]) for each_G in (key_G, there_G, number_G))
        user, item = divmod(key, self.num_items)
        done, stand = ("drop", "there") if step < 0 else ("restore", "dropped before")
        raise ValueError(
            f"cannot {done} {number} edge(s) between user {user} and item {item}: only {there} "
            f"{'is' if there == 1 else 'are'} {stand}"
        )


class _Propagation(torch.autograd.Function):
    """A polynomial of a symmetric matrix is symmetric: its backward pass is the same product."""

    @staticmethod
    def forward(ctx: Any, ego_ND: Tensor, weight: Tensor, graph: Graph, num_layers: int) -> Tensor:
        ctx.graph, ctx.num_layers = graph, num_layers
        # saved so that autograd complains when edges change before the backward pass
        ctx.save_for_backward(weight)
        return graph.sum_of_powers(ego_ND, num_layers).div_(num_layers + 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        grad_ND = _Propagation.apply(grads[0], weight, ctx.graph, ctx.num_layers)
        return grad_ND, None, None, None  # type: ignore


def sums_of_rows(start: Tensor, column: Tensor, weight: Tensor, table_ND: Tensor) -> Tensor:
    """The CSR matrix times the table; a row is summed up from left to right.

    On the CPU a sum over bags is several times faster than torch's product with a CSR matrix, and
    a row is the same whatever the number of threads.
    """
    weight = weight.to(table_ND.dtype)
    if table_ND.is_cuda:
        size = (len(start) - 1, len(table_ND))
        matrix = torch.sparse_csr_tensor(start, column, weight, size, check_invariants=False)
        with torch.autocast("cuda", enabled=False):
            return matrix @ table_ND
    return functional.embedding_bag(
        column,
        table_ND,
        start,
        mode="sum",
        per_sample_weights=weight,
        include_last_offset=True,
    )


def _ranks(place_K: Tensor, number_G: Tensor) -> Tensor:
    """The number of earlier entries of the same group, for each entry."""
    order_K = torch.argsort(place_K, stable=True)
    start_G = number_G.cumsum(0) - number_G
    rank_K = torch.empty_like(place_K)
    rank_K[order_K] = torch.arange(len(place_K), device=place_K.device) - start_G[place_K[order_K]]
    return rank_K


def _check_range(what: str, id_E: Tensor, bound: int) -> None:
    outside_E = (id_E < 0) | (id_E >= bound)
    if outside_E.any():
        wrong = int(id_E[outside_E][0])
        raise ValueError(f"edge with {what} {wrong}, but {what}s are 0 to {bound - 1}")
