"""The inverse of a symmetric matrix as a series, with a scale found from the spectrum."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from erase_ray import pulse, seeds
from erase_ray.methods._solve import End, Limits, Solve

SAFETY = 1.1
"""Factor by which a scale exceeds the largest eigenvalue as it was found."""
NUM_STEPS = 8
"""Products with the matrix that go into finding the ends of its spectrum."""
SOLVER = "the Neumann series"

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Spectrum:
    """The ends of the spectrum of a symmetric matrix, as far as they were found.

    Args:
        lowest: The lowest Ritz value; the lowest eigenvalue is not above it.
        highest: The highest Ritz value and the length of its residual.
        products: Products with the matrix that it took.
    """

    lowest: float
    highest: float
    products: int = 0

    @property
    def scale(self) -> float:
        """A scale for :func:`neumann`; 1 where the highest is no positive number."""
        return SAFETY * self.highest if 0 < self.highest < math.inf else 1.0

    @property
    def is_indefinite(self) -> bool:
        """Whether a direction was found along which the matrix curves downward."""
        return self.lowest < 0


def spectrum(
    apply: Product, start: Tensor, num_steps: int = NUM_STEPS, damping: float = 0.0
) -> Spectrum:
    """The ends of the spectrum of ``A + damping I``, by a few steps of the Lanczos iteration.

    It stops where it has found a direction that curves downward: there is no series then. The
    residual of the highest Ritz value is added to it, which makes it an upper bound in
    practice (Zhou and Li, "Bounding the spectrum of large Hermitian matrices", 2011).

    Args:
        apply: ``A`` times a vector.
        start: Shape ``(P,)``, not zero; no part of the spectrum that it has nothing of is found.
        num_steps: Most products.
        damping: What is added to the diagonal.
    """
    vector, before, beta = start / start.norm(), torch.zeros_like(start), 0.0
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(num_steps):
        pulse.beat()
        product = apply(vector).add_(vector, alpha=damping).add_(before, alpha=-beta)
        alphas.append(_dot(vector, product))
        product.add_(vector, alpha=-alphas[-1])
        beta = float(product.norm())
        betas.append(beta)
        ends = _ends(alphas, betas)
        spans_all = beta <= 1e-6 * max(map(abs, (*alphas, *betas[:-1])))
        if spans_all or not ends.lowest > 0:
            return ends
        before, vector = vector, product.div_(beta)
    return _ends(alphas, betas)


def _ends(alphas: list[float], betas: list[float]) -> Spectrum:
    """Extreme eigenvalues of the tridiagonal matrix, the last beta being that of the residual."""
    if not all(map(math.isfinite, (*alphas, *betas))):
        return Spectrum(math.nan, math.nan, len(alphas))
    matrix = torch.diag(torch.tensor(alphas, dtype=torch.float64))
    if len(alphas) > 1:
        beside = torch.tensor(betas[:-1], dtype=torch.float64)
        matrix += torch.diag(beside, 1) + torch.diag(beside, -1)
    values, vectors = torch.linalg.eigh(matrix)
    residual = betas[-1] * abs(float(vectors[-1, -1]))
    return Spectrum(float(values[0]), float(values[-1]) + residual, len(alphas))


def mixed_start(rhs: Tensor, seed: int) -> Tensor:
    """A start for :func:`spectrum` with parts of everything, and a large one of ``rhs``.

    What a series multiplies are powers of the matrix times ``rhs``; the random signs (a function
    of seed and position alone) are there for what rounding brings in.
    """
    numbers = torch.arange(len(rhs), device=rhs.device)
    sign = (seeds.hash_ids(seeds.derive(seed, "spectrum"), numbers) >> 63) * 2 + 1
    start = sign.to(rhs.dtype) / math.sqrt(max(len(rhs), 1))
    length = float(rhs.norm())
    return start.add_(rhs, alpha=1 / length) if length else start


def neumann(
    apply: Product,
    rhs: Tensor,
    limits: Limits,
    scale: float,
    damping: float = 0.0,
    give_up: Callable[[], bool] = lambda: False,
) -> tuple[Tensor, Solve, float]:
    """Solve ``(A + damping I) x = rhs`` by ``x = (1/s) sum_t M^t rhs``.

    M is ``I - (A + damping I) / s``. The partial sums are the iterates of
    ``h <- rhs + (1 - damping / s) h - A h / s`` divided by s (LiSSA: Agarwal, Bullins, Hazan,
    2017). Term t is the residual after t terms, so to know it costs nothing. Residuals shrink as
    long as all eigenvalues of the sum are above 0 and below 2 s. When one grows, its largest part
    is looked at. If that curves more than s, the scale was too small and is raised. Otherwise A
    curves downward by more than the damping and the series has no limit: the partial sum with the
    smallest residual is the solution, but at least one term. Cut short, a series is a filter:
    directions that curve less than s over the number of terms are followed part of the way.

    Args:
        apply: ``A`` times a vector.
        rhs: Shape ``(P,)``.
        limits: When to stop; an iteration is a product with the matrix.
        scale: s to begin with; above 0.
        damping: 0 or more.
        give_up: Asked before each product; True stops with ``timed_out``.

    Returns:
        The solution, how it ended, and the scale at the end.
    """
    x, term = torch.zeros_like(rhs), rhs.clone()
    start = square = _dot(rhs, rhs)

    def product(vector: Tensor) -> Tensor:
        return apply(vector).add_(vector, alpha=damping)

    def ended(end: End, iterations: int) -> tuple[Tensor, Solve, float]:
        residual = math.sqrt(square / start) if start else 0.0
        return x, Solve(end, iterations, residual, SOLVER), scale

    if not (math.isfinite(start) and math.isfinite(scale)):
        return ended("non_finite", 0)
    iteration = 0
    while iteration < limits.iterations:
        pulse.beat()
        if square <= limits.tolerance**2 * start:
            return ended("converged", iteration)
        if give_up():
            return ended("timed_out", iteration)
        change = product(term)
        iteration += 1
        after = torch.add(term, change, alpha=-1 / scale)
        before, square_after = square, _dot(after, after)
        if not math.isfinite(square_after):
            return ended("non_finite", iteration)
        if square_after > before:
            steepest = _dot(change, product(change)) / _dot(change, change)
            iteration += 1
            if steepest <= scale:
                x = x if bool(x.any()) else rhs / scale
                return ended("negative_curvature", iteration)
            scale = SAFETY * steepest
            continue
        x.add_(term, alpha=1 / scale)
        term, square = after, square_after
    end: End = "converged" if square <= limits.tolerance**2 * start else "max_iterations"
    return ended(end, iteration)


def _dot(left: Tensor, right: Tensor) -> float:
    return torch.dot(left, right).item()
