"""Conjugate gradient."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

End = Literal["converged", "max_iterations", "negative_curvature", "non_finite", "timed_out"]


@dataclass(frozen=True)
class Solve:
    """How conjugate gradient ended.

    Args:
        end: ``negative_curvature`` means that the solution is the best before that direction.
        iterations: Products with the matrix.
        residual: Norm of the residual over that of the right-hand side.
    """

    end: End
    iterations: int
    residual: float


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    rhs: Tensor,
    tolerance: float,
    max_iterations: int,
    give_up: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Solve]:
    """Solve ``A x = rhs`` for a symmetric matrix, starting at zero.

    If a direction of no or negative curvature is met, the solution so far is kept; where it is the
    first direction, the steepest one, ``rhs`` itself is the solution (truncated Newton: Nocedal
    and Wright, "Numerical Optimization", 2nd edition, algorithm 7.1).

    Args:
        apply: ``A`` times a vector.
        rhs: Shape ``(P,)``.
        tolerance: Stop once the residual is this small relative to ``rhs``.
        max_iterations: Stop after this many products.
        give_up: Asked before each product; True stops with ``timed_out``.
    """
    x, residual, direction = torch.zeros_like(rhs), rhs.clone(), rhs.clone()
    start = square = _dot(rhs, rhs)

    def ended(end: End, iterations: int) -> tuple[Tensor, Solve]:
        return x, Solve(end, iterations, math.sqrt(square / start) if start else 0.0)

    if not math.isfinite(start):
        return ended("non_finite", 0)
    for iteration in range(max_iterations):
        if square <= tolerance**2 * start:
            return ended("converged", iteration)
        if give_up():
            return ended("timed_out", iteration)
        product = apply(direction)
        curvature = _dot(direction, product)
        if not math.isfinite(curvature):
            return ended("non_finite", iteration + 1)
        if curvature <= 0:
            x = x if iteration else rhs.clone()
            return ended("negative_curvature", iteration + 1)
        step = square / curvature
        x.add_(direction, alpha=step)
        residual.add_(product, alpha=-step)
        before, square = square, _dot(residual, residual)
        direction.mul_(square / before).add_(residual)
    end = "converged" if square <= tolerance**2 * start else "max_iterations"
    return ended(end, max_iterations)


def _dot(left: Tensor, right: Tensor) -> float:
    return torch.dot(left, right).item()
