"""Initial weights, drawn on the CPU so that they are the same on every device."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def xavier_normal(weight: Tensor, generator: torch.Generator) -> None:
    """Fill a matrix from N(0, 2 / (rows + columns))."""
    normal(weight, math.sqrt(2 / sum(weight.shape)), generator)


def xavier_uniform(weight: Tensor, generator: torch.Generator) -> None:
    """Fill a matrix from U(-b, b) with b = sqrt(6 / (rows + columns))."""
    uniform(weight, math.sqrt(6 / sum(weight.shape)), generator)


def normal(weight: Tensor, std: float, generator: torch.Generator) -> None:
    """Fill from N(0, std^2)."""
    _fill(weight, lambda host: host.normal_(0, std, generator=generator))


def uniform(weight: Tensor, bound: float, generator: torch.Generator) -> None:
    """Fill from U(-bound, bound)."""
    _fill(weight, lambda host: host.uniform_(-bound, bound, generator=generator))


def _fill(weight: Tensor, draw: Callable[[Tensor], object]) -> None:
    with torch.no_grad():
        host = weight if weight.device.type == "cpu" else torch.empty_like(weight, device="cpu")
        draw(host)
        if host is not weight:
            weight.copy_(host)
