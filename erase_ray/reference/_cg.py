"""Conjugate gradient with the absolute stopping rules of the published CEU and IDEA.

The rules do not go with the size of the right-hand side: curvature below 1e-10 counts as none, so
a small gradient is "solved" by no step at all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FLAT = 1e-10
"""Curvature along a direction below which no step is taken."""
SMALL, LARGE = 1e-6, 1e10
"""Norms of the residual that end the iterations."""
NOTHING = 1e-15
"""Norm of a solution that counts as none."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What the iterations came to.

    Args:
        x_P: Shape ``(P,)``.
        iterations: Steps that were taken.
        end: Which rule ended them.
    """

    x_P: Tensor
    iterations: int
    end: str


def conjugate_gradient(operator: Callable[[Tensor], Tensor], rhs_P: Tensor, most: int) -> Solution:
    """CG from 0 on one fixed operator; the solution so far when a rule ends it."""
    x_P, r_P, p_P = torch.zeros_like(rhs_P), rhs_P.clone(), rhs_P.clone()
    rho = float(r_P @ r_P)
    for number in range(most):
        q_P = operator(p_P)
        s = float(p_P @ q_P)
        end = curvature_end(s)
        if end:
            return Solution(x_P, number, end)
        next_P = x_P + (rho / s) * p_P
        if not bool(torch.isfinite(next_P).all()):
            return Solution(x_P, number, "not finite")
        x_P = next_P
        r_P = r_P - (rho / s) * q_P
        rho, before = float(r_P @ r_P), rho
        norm = math.sqrt(rho) if rho >= 0 else math.nan
        if not norm <= LARGE or norm < SMALL:
            return Solution(x_P, number + 1, "converged" if norm < SMALL else "diverged")
        p_P = r_P + rho / (before + 1e-10) * p_P
    return Solution(x_P, most, "all iterations")


def curvature_end(s: float) -> str:
    """Why a direction with curvature ``s`` ends the iterations; empty if it does not."""
    if not math.isfinite(s):
        return "not finite"
    if abs(s) < FLAT:
        return "flat"
    return "negative curvature" if s < 0 else ""


def is_nothing(x_P: Tensor) -> bool:
    """True for a solution that is not finite or too short to count."""
    return not float(x_P.norm()) >= NOTHING
