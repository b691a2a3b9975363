"""Tables of which each member of a team holds some of the rows.

Rows are fetched from whoever holds them when they are read, and what a member needs twice comes
once. What was read collects its own gradient; after the backward pass these go back to where the
rows lie (:meth:`Shard.collect`), so a member holds the gradient and the moments of its own rows
alone. For products with the whole table each member makes those with its own rows.

The shard of a table is known by the table's parameter. All members must read in the same order.
"""

from typing import Any

import torch
from torch import Tensor, nn

from erase_ray.models._info_nce import log_sum_exp
from erase_ray.team import Team


class Shard:
    """The rows ``own`` of a table, in place of the table's own values.

    Args:
        weight: The table, shape ``(R, D)``, whole; afterwards it holds the own rows.
        team: Holds the others.
    """

    def __init__(self, weight: nn.Parameter, team: Team) -> None:
        self.weight, self.team = weight, team
        self.num_rows = len(weight)
        self.bounds = torch.tensor(
            [team.part_of(rank, self.num_rows).start for rank in range(team.size)] + [self.num_rows]
        )
        self._lent: list[_Fetched] = []
        weight.data = self.part(weight.detach())
        weight.shard = self  # type: ignore

    def rows(self, id_N: Tensor) -> Tensor:
        """The rows of some ids, shape ``(N, D)``, as leaves where a gradient is wanted."""
        id_U, place_N = torch.unique(id_N, return_inverse=True)
        fetched = _Fetched.of(id_U, self)
        if torch.is_grad_enabled() and self.weight.requires_grad:
            fetched.rows_UD.requires_grad_()
            self._lent.append(fetched)
        return fetched.rows_UD.index_select(0, place_N)

    def collect(self) -> None:
        """Add what was read since the last call to the gradient of the own rows."""
        lent, self._lent = self._lent, []
        for fetched in lent:
            if self.weight.grad is None:
                self.weight.grad = torch.zeros_like(self.weight)
            place_V, grad_VD = fetched.returned(self.team)
            self.weight.grad.index_add_(0, place_V, grad_VD)

    def products(self, rows_BD: Tensor) -> Tensor:
        """Inner products of the same rows on all members with the whole table, ``(B, R)``."""
        sizes = self.bounds.diff().tolist()
        return self.team.gather((rows_BD @ self.weight.T).T, sizes).T

    def cross_entropy(self, inputs_BD: Tensor, target_B: Tensor) -> Tensor:
        """As :func:`erase_ray.models._cross_entropy.linear_cross_entropy`, ``(B,)``.

        Each member makes the products of all inputs of the team with its own rows.
        """
        inputs_BD = inputs_BD.to(self.weight.dtype)
        sizes = [size for (size,) in self.team.numbers([len(inputs_BD)])]
        everyone_TD = _Gather.apply(inputs_BD, self.team, sizes)
        own_T = log_sum_exp(everyone_TD, self.weight)  # type: ignore
        total_B = _LogSum.apply(own_T, self.team, sizes)
        return total_B - torch.linalg.vecdot(inputs_BD, self.rows(target_B))  # type: ignore

    def part(self, whole: Tensor) -> Tensor:
        """A copy of the own rows of ``whole``."""
        own = self.team.part(self.num_rows)
        return whole[own.start : own.stop].clone()

    def whole(self, part: Tensor) -> Tensor:
        """The rows of all members, on the host of member 0; elsewhere ``part`` comes back."""
        return self.team.collect(part, self.bounds.diff().tolist())

    def end(self) -> None:
        """Make the table whole again on member 0, on its host; elsewhere the part stays."""
        self._lent.clear()
        self.weight.grad = None
        self.weight.data = self.whole(self.weight.detach())
        del self.weight.shard  # type: ignore


class _Fetched:
    """Rows from everywhere, and the way back.

    Args:
        rows_UD: The rows, in the order of their ids.
        place_V: Own rows that others (and this member) asked for, by who asked.
        sent: How many rows came from each member.
        received: How many each asked for.
    """

    def __init__(
        self, rows_UD: Tensor, place_V: Tensor, sent: list[int], received: list[int]
    ) -> None:
        self.rows_UD, self.place_V = rows_UD, place_V
        self.sent, self.received = sent, received

    @classmethod
    def of(cls, id_U: Tensor, shard: Shard) -> "_Fetched":
        """Fetch the rows of ``id_U``, which are distinct and ascending."""
        team = shard.team
        ends = torch.searchsorted(id_U, shard.bounds.to(id_U.device))
        sent = ends.diff().tolist()
        received = [row[team.rank] for row in team.numbers(sent)]
        asked_V = team.exchange(id_U, sent, received)
        place_V = asked_V - team.part(shard.num_rows).start
        rows_VD = shard.weight.detach().index_select(0, place_V)
        return cls(team.exchange(rows_VD, received, sent), place_V, sent, received)

    def returned(self, team: Team) -> tuple[Tensor, Tensor]:
        """Own rows, as often as they were fetched, and their gradients."""
        grad_UD = self.rows_UD.grad
        if grad_UD is None:
            grad_UD = torch.zeros_like(self.rows_UD)
        return self.place_V, team.exchange(grad_UD, self.sent, self.received)


def shard_of(weight: Tensor) -> Shard | None:
    """The shard that a parameter stands for; None for one that is whole."""
    return getattr(weight, "shard", None)


def products(rows_BD: Tensor, weight_ID: Tensor) -> Tensor:
    """Inner products of rows with a table, whole or not, shape ``(B, I)``."""
    shard = shard_of(weight_ID)
    return rows_BD @ weight_ID.T if shard is None else shard.products(rows_BD)


class _Gather(torch.autograd.Function):
    """Rows of all members; the gradient of a row is the sum of what all make of it."""

    @staticmethod
    def forward(ctx: Any, rows_BD: Tensor, team: Team, sizes: list[int]) -> Tensor:
        ctx.team, ctx.start, ctx.size = team, sum(sizes[: team.rank]), len(rows_BD)
        return team.gather(rows_BD, sizes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        total_TD = grads[0].clone(memory_format=torch.contiguous_format)
        ctx.team.add([total_TD])
        return total_TD[ctx.start : ctx.start + ctx.size], None, None


class _LogSum(torch.autograd.Function):
    """Own rows of the log of the sum over the members of the exponentials of their values."""

    @staticmethod
    def forward(ctx: Any, values_T: Tensor, team: Team, sizes: list[int]) -> Tensor:
        parts_ST = team.gather(values_T[None], [1] * team.size)
        total_T = parts_ST.logsumexp(0)
        ctx.team, ctx.sizes = team, sizes
        ctx.save_for_backward(values_T, total_T)
        start = sum(sizes[: team.rank])
        return total_T[start : start + sizes[team.rank]]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        values_T, total_T = ctx.saved_tensors
        grad_T = ctx.team.gather(grads[0], ctx.sizes)
        return grad_T * (values_T - total_T).exp(), None, None
