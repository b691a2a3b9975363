"""Conjugate gradient."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from erase_ray import pulse

End = Literal["converged", "max_iterations", "negative_curvature", "non_finite", "timed_out"]


@dataclass(frozen=True)
class Limits:
    """When conjugate gradient stops.

    Args:
        tolerance: Norm of the residual over that of the right-hand side.
        iterations: Most products with the matrix.
    """

    tolerance: float
    iterations: int


@dataclass(frozen=True)
class Solve:
    """How conjugate gradient ended.

    Args:
        end: After ``negative_curvature`` the solution is the best before that direction.
        iterations: Products with the matrix.
        residual: Norm of the residual over that of the right-hand side.
        solver: What it is called in messages.
    """

    end: End
    iterations: int
    residual: float
    solver: str = "conjugate gradient"


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    rhs: Tensor,
    limits: Limits,
    damping: float = 0.0,
    give_up: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Solve]:
    """Solve ``(A + damping I) x = rhs`` for a symmetric matrix A, starting at zero.

    If A curves downward along a direction, so that the sum curves less than half as much as the
    damping alone, the solution so far is kept; where it is the first direction, the steepest one,
    ``rhs`` itself, is the solution (truncated Newton: Nocedal and Wright, "Numerical
    Optimization", 2nd edition, algorithm 7.1, which compares with 0: a step along a direction
    that just passes would be of any length). Half leaves room for rounding where A is flat.

    Args:
        apply: ``A`` times a vector.
        rhs: Shape ``(P,)``.
        limits: When to stop.
        damping: 0 or more.
        give_up: Asked before each product; True stops with ``timed_out``.
    """
    x, residual, direction = torch.zeros_like(rhs), rhs.clone(), rhs.clone()
    start = square = _dot(rhs, rhs)

    def ended(end: End, iterations: int) -> tuple[Tensor, Solve]:
        return x, Solve(end, iterations, math.sqrt(square / start) if start else 0.0)

    if not math.isfinite(start):
        return ended("non_finite", 0)
    enough = limits.tolerance**2 * start
    for iteration in range(limits.iterations):
        pulse.beat()
        if square <= enough:
            return ended("converged", iteration)
        if give_up():
            return ended("timed_out", iteration)
        product = apply(direction).add_(direction, alpha=damping)
        pairs = torch.stack([torch.dot(direction, product), torch.dot(direction, direction)])
        curvature, length = pairs.tolist()
        floor = damping / 2 * length
        if not math.isfinite(curvature):
            return ended("non_finite", iteration + 1)
        if curvature <= floor:
            x = x if iteration else rhs.clone()
            return ended("negative_curvature", iteration + 1)
        step = square / curvature
        x.add_(direction, alpha=step)
        residual.add_(product, alpha=-step)
        before, square = square, _dot(residual, residual)
        direction.mul_(square / before).add_(residual)
    return ended("converged" if square <= enough else "max_iterations", limits.iterations)


def _dot(left: Tensor, right: Tensor) -> float:
    return torch.dot(left, right).item()
