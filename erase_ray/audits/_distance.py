"""How far apart the weights of models are."""

import math

import torch

from erase_ray.models import Model


def distance(one: Model, other: Model) -> float:
    """Euclidean distance of all parameters in float64; NaN where they are not the same ones."""
    weights, others = dict(one.named_parameters()), dict(other.named_parameters())
    shapes = [{name: weight.shape for name, weight in each.items()} for each in (weights, others)]
    if not weights or shapes[0] != shapes[1]:
        return math.nan
    with torch.no_grad():
        squares = [_square(weight, others[name]) for name, weight in weights.items()]
    return math.sqrt(math.fsum(squares))


def share(part: float, whole: float) -> float:
    """``part / whole``; NaN where the latter is 0."""
    return part / whole if whole else math.nan


def num_parameters(model: Model) -> int:
    """Entries of all parameters."""
    return sum(weight.numel() for weight in model.parameters())


def _square(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.double() - other.double()).square().sum())
