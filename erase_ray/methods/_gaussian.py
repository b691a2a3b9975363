"""The Gaussian mechanism: how much noise a guarantee needs, and what a given noise guarantees.

Two models at most ζ apart, each with noise of standard deviation σ in every weight, cannot be told
apart better than (ε, δ) allows: an event has at most e^ε times the probability plus δ.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from erase_ray import seeds

CHUNK = 2**20
"""Weights whose noise is drawn at once; part of what a seed means."""


def sigma_for(zeta: float, epsilon: float, delta: float) -> float:
    """Standard deviation that makes models ``zeta`` apart (ε, δ)-indistinguishable.

    σ = ζ sqrt(2 ln(1.25/δ)) / ε. Dwork and Roth: "The Algorithmic Foundations of Differential
    Privacy", 2014, theorem A.1, which holds for ε up to 1.
    """
    assert 0 < epsilon <= 1
    return zeta * math.sqrt(2 * math.log(1.25 / delta)) / epsilon


def epsilon_of(mu: float, delta: float) -> float:
    """The smallest ε at ``delta`` of models whose distance is ``mu`` standard deviations.

    It solves δ = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ), which is exact. Balle and Wang: "Improving the
    Gaussian Mechanism for Differential Privacy", ICML 2018, theorem 8. Several models published
    one after the other with distances μ₁, μ₂, … are together as one with μ² = Σ μₖ². Dong, Roth
    and Su: "Gaussian Differential Privacy", 2022, corollary 3.3: that is exact as well, so it is
    never worse than basic or advanced composition or zero-concentrated differential privacy.

    Args:
        mu: 0 or more; infinite without noise.
        delta: Above 0, below 1.
    """
    if not math.isfinite(mu):
        return math.inf
    low, high = -40.0, mu / 2
    if mu == 0 or _delta_at(high, mu) <= delta:
        return 0.0
    for _ in range(100):
        middle = (low + high) / 2
        if _delta_at(middle, mu) <= delta:
            low = middle
        else:
            high = middle
    return mu * (mu / 2 - low)


def _delta_at(a: float, mu: float) -> float:
    """δ at ε = μ (μ/2 - a); in this form nothing overflows, however large ε is."""
    other = torch.tensor((mu - a) / math.sqrt(2), dtype=torch.float64)
    second = math.exp(-a * a / 2) * float(torch.special.erfcx(other))
    return (math.erfc(-a / math.sqrt(2)) - second) / 2


@torch.no_grad()
def add_noise(weights: Iterable[Tensor], sigma: float, seed: int) -> None:
    """Add noise N(0, sigma²) to each weight in place; a negative ``sigma`` takes it off again.

    The draws are a function of the seed and of the order and sizes of ``weights`` alone. Taking
    noise off leaves the rounding error of one addition and one subtraction.
    """
    generator: torch.Generator | None = None
    for weight in weights:
        if generator is None:
            generator = seeds.torch_generator(seed, "gaussian", device=weight.device)
        for chunk in weight.view(-1).split(CHUNK):
            chunk.add_(torch.empty_like(chunk).normal_(generator=generator), alpha=sigma)


@torch.no_grad()
def squares(weights: Iterable[Tensor]) -> float:
    """Sum of the squares of all entries, added in double precision."""
    total = 0.0
    for weight in weights:
        for chunk in weight.reshape(-1).split(CHUNK):
            total += float(chunk.double().square().sum())
    return total
