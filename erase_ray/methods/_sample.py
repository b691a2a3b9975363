"""Random samples in time that goes with the sample, not with what it is drawn from."""

import torch
from torch import Tensor

from erase_ray import seeds

SPARE = 16
MOST_ROUNDS = 6


def sample(owner_N: Tensor, num: int, seed: int, barred: Tensor) -> Tensor:
    """Positions of a random sample without replacement, in random order.

    Draws are numbered, and those of barred owners and repeated ones are passed over. A large share
    of what there is, and what is nearly all barred, is the head of a random order of everything.

    Args:
        owner_N: Whose each entry is, int64.
        num: Size of the sample; all that are not barred where there are fewer.
        seed: Root of the draws.
        barred: Owners whose entries are not drawn, int64.

    Returns:
        int64, at most ``num``.
    """
    size = len(owner_N)
    if 4 * num < size:
        found = _drawn(owner_N, num, seed, barred)
        if found is not None:
            return found
    order = seeds.order(seed, torch.arange(size, device=owner_N.device))
    return order[~torch.isin(owner_N[order], barred)][:num]


def _drawn(owner_N: Tensor, num: int, seed: int, barred: Tensor) -> Tensor | None:
    """The first ``num`` distinct allowed draws; None if many draws do not give as many."""
    num_draws = num + SPARE
    for _ in range(MOST_ROUNDS):
        numbers = torch.arange(num_draws, device=owner_N.device)
        place_M = _distinct(seeds.below(len(owner_N), seed, numbers))
        place_M = place_M[~torch.isin(owner_N[place_M], barred)]
        if len(place_M) >= num:
            return place_M[:num]
        num_draws *= 2
    return None


def _distinct(value_M: Tensor) -> Tensor:
    """The values without repetitions, in the order in which they first occur."""
    value_V, inverse_M = torch.unique(value_M, return_inverse=True)
    numbers = torch.arange(len(value_M), device=value_M.device)
    first_V = torch.full_like(value_V, len(value_M))
    first_V.scatter_reduce_(0, inverse_M, numbers, reduce="amin")
    return value_M[first_V.sort().values]
