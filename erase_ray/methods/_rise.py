"""How much the loss of others may rise over a whole chain."""

import torch

from erase_ray.methods._request import Request

FLOOR = 0.1
"""Where a loss is smaller, its rise is measured as a share of this: what one example in a thousand
adds whose target falls to a probability of e^-1 is below what matters."""
_NAME = "rise"


def unspent(request: Request, budget: float) -> float:
    """What is left of the share by which the loss may rise in the chain, 0 or more."""
    return max(budget - _spent(request), 0.0)


def spend(request: Request, rise: float) -> None:
    """Add a rise, or a fall below 0, to that of the requests before."""
    request.state[_NAME] = torch.tensor(_spent(request) + rise, dtype=torch.float64)


def _spent(request: Request) -> float:
    return float(request.state.get(_NAME, torch.zeros(())))
