"""What taking rows out changes in X'X, and its inverse without inverting again."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from erase_ray.models._baseline import TrainingRows

MOST_CELLS = 1 << 20
"""Cells of a matrix that are gathered at once."""


@dataclass(frozen=True, eq=False)
class GramChange:
    """X'X of what is left, less X'X of what was there: -A'E - E'A + E'TE, all float64.

    Let D be what is taken out of the counts X of users and items. By users, R of them have rows in
    D; A holds their rows of X, E those of D, and T is I. By items, R of them have columns in D; E
    holds their unit vectors, A the rows of D'X, and T is the part of D'D. The rank is 2 R.

    Args:
        before_RI: A.
        gone_RI: E.
        core_RR: T.
    """

    before_RI: Tensor
    gone_RI: Tensor
    core_RR: Tensor

    @classmethod
    def of(cls, rows: TrainingRows, left: TrainingRows, num_items: int) -> "GramChange":
        """The change when ``rows`` go and ``left`` is what the same people keep; R is the smaller
        of their number and that of the items that go.
        """
        user_U, owner_N = torch.unique(rows.user_N, return_inverse=True)
        item_J, column_N = torch.unique(rows.item_N, return_inverse=True)
        place_M = torch.searchsorted(user_U, left.user_N)
        inside_M = user_U[place_M.clamp(max=len(user_U) - 1)] == left.user_N
        owner_M = torch.cat([owner_N, place_M[inside_M]])
        item_M = torch.cat([rows.item_N, left.item_N[inside_M]])
        if len(user_U) <= len(item_J):
            before_RI = _counts(owner_M, item_M, (len(user_U), num_items))
            gone_RI = _counts(owner_N, rows.item_N, (len(user_U), num_items))
            return cls(before_RI, gone_RI, torch.eye(len(user_U)).to(gone_RI))
        gone_UJ = _counts(owner_N, column_N, (len(user_U), len(item_J)))
        before_IR = gone_UJ.new_zeros(num_items, len(item_J))
        for part_M in torch.arange(len(item_M)).split(max(1, MOST_CELLS // len(item_J))):
            before_IR.index_add_(0, item_M[part_M], gone_UJ[owner_M[part_M]])
        gone_RI = gone_UJ.new_zeros(len(item_J), num_items)
        gone_RI[torch.arange(len(item_J)), item_J] = 1
        return cls(before_IR.T.contiguous(), gone_RI, gone_UJ.T @ gone_UJ)

    @property
    def rank(self) -> int:
        """Of the change, at most."""
        return 2 * len(self.core_RR)

    def times(self, vector_I: Tensor) -> Tensor:
        """The change times a vector, shape ``(I,)``."""
        before_R, gone_R = self.before_RI @ vector_I, self.gone_RI @ vector_I
        return self.gone_RI.T @ (self.core_RR @ gone_R - before_R) - self.before_RI.T @ gone_R

    def update(self, inverse_II: Tensor) -> float:
        """Make the inverse of the matrix before that of the matrix after, in place.

        By the identity of Woodbury: with U = [A; E] and C = [[0, -I], [-I, T]] it is
        P - P U' (C^-1 + U P U')^-1 U P. Besides two products of P with 2 R vectors nothing of the
        size of P is computed. The small matrix is quasi-definite, so solving with it is stable.

        Returns:
            The Frobenius norm of the change of the inverse.
        """
        factor_SI = torch.cat([self.before_RI, self.gone_RI])
        column_M = factor_SI.any(0).nonzero().flatten()
        product_SI = factor_SI[:, column_M] @ inverse_II[column_M]
        small_SS = product_SI @ factor_SI.T
        size = len(self.core_RR)
        ones_RR = torch.eye(size).to(small_SS)
        small_SS[:size, :size] -= self.core_RR
        small_SS[:size, size:] -= ones_RR
        small_SS[size:, :size] -= ones_RR
        solved_SI = torch.linalg.solve(small_SS, product_SI)
        inverse_II.addmm_(product_SI.T, solved_SI, alpha=-1)
        square = ((solved_SI @ solved_SI.T) * (product_SI @ product_SI.T)).sum()
        return math.sqrt(max(0.0, float(square)))


def _counts(row_N: Tensor, column_N: Tensor, size: tuple[int, int]) -> Tensor:
    """How often each cell comes, float64."""
    return (
        torch.bincount(row_N * size[1] + column_N, minlength=size[0] * size[1]).view(size).double()
    )
