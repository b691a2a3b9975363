"""Where items stand in the whole ranking of a query."""

import numpy as np
import torch
from torch import Tensor

BLOCK_BYTES = 1 << 24
"""Scores in double precision that are worked on at once."""
MASKED = float("-inf")


def exposures(scores_BI: Tensor, items_I: np.ndarray) -> np.ndarray:
    """Mean rank of some items, and their softmax probability together, by query.

    The first item has rank 1; of equal scores the lower item id is better. The softmax is in
    double precision over the items that are ranked, and summed up pair by pair, so that a query
    has the same numbers in every block. An item with a score of minus infinity (a masked one) is
    not ranked: it has probability 0 and the rank behind the last one that is ranked.

    Args:
        scores_BI: Shape ``(B, I)``.
        items_I: bool, shape ``(I,)``.

    Returns:
        float32, shape ``(2, B)``: ranks and probabilities; NaN where ``items_I`` marks no item or
        nothing can be ranked.
    """
    if not (items_I.any() and len(scores_BI)):
        return np.full((2, len(scores_BI)), np.nan, np.float32)
    chosen_E = torch.from_numpy(np.flatnonzero(items_I)).to(scores_BI.device)
    size = max(BLOCK_BYTES // (8 * max(scores_BI.shape[1], 1)), 1)
    parts = [_exposed(block, chosen_E) for block in scores_BI.split(size)]
    return torch.cat(parts, dim=1).cpu().numpy()


def _exposed(scores_BI: Tensor, chosen_E: Tensor) -> Tensor:
    is_double = scores_BI.dtype == torch.float64
    places = _places_of_doubles if is_double else _places
    above_BE, num_ranked_B1 = places(scores_BI, chosen_E)
    # masked items have no order; whole numbers below 2**53, so the mean is rounded once
    above_B = torch.minimum(above_BE, num_ranked_B1).sum(1)
    rank_B = 1 + above_B.double() / len(chosen_E)
    found_2B = torch.stack([rank_B, _mass(scores_BI, chosen_E)])
    return found_2B.masked_fill(num_ranked_B1[:, 0] == 0, torch.nan).float()


def _places(scores_BI: Tensor, chosen_E: Tensor) -> tuple[Tensor, Tensor]:
    """How many items are better than each chosen one, ``(B, E)``, and ranked in all, ``(B, 1)``."""
    num_items, scores_BI = scores_BI.shape[1], scores_BI.float()
    behind_I = torch.arange(num_items, device=scores_BI.device).flip(0)
    # of equal scores the lower id is higher, so no two keys are equal
    key_BI = (_ordered(scores_BI) << 32) + behind_I
    sorted_BI = _sorted(key_BI)
    first_ranked_B1 = (_ordered(torch.full_like(scores_BI[:, :1], MASKED)) + 1) << 32
    num_ranked_B1 = num_items - torch.searchsorted(sorted_BI, first_ranked_B1)
    above_BE = num_items - 1 - torch.searchsorted(sorted_BI, key_BI[:, chosen_E].contiguous())
    return above_BE, num_ranked_B1


def _places_of_doubles(scores_BI: Tensor, chosen_E: Tensor) -> tuple[Tensor, Tensor]:
    """The same, slower, for scores that do not fit 32 bits."""
    order_BI = scores_BI.sort(dim=1, descending=True, stable=True).indices
    place_I = torch.arange(scores_BI.shape[1], device=scores_BI.device)
    above_BI = torch.empty_like(order_BI).scatter_(1, order_BI, place_I.expand_as(order_BI))
    return above_BI[:, chosen_E], (scores_BI > MASKED).sum(1, keepdim=True)


def _ordered(scores_BI: Tensor) -> Tensor:
    """Integers of 32 bits that are in the order of the scores; both zeros are the same."""
    bits_BI = (scores_BI + 0.0).view(torch.int32)
    return torch.where(bits_BI < 0, bits_BI ^ 0x7FFFFFFF, bits_BI).long()


def _sorted(key_BI: Tensor) -> Tensor:
    """The keys of each row, lowest first."""
    if key_BI.is_cpu:  # many times faster than PyTorch, which sorts positions as well
        return torch.from_numpy(np.sort(key_BI.numpy(), axis=1))
    return key_BI.sort(dim=1).values


def _mass(scores_BI: Tensor, chosen_E: Tensor) -> Tensor:
    best_B1 = scores_BI.amax(1, keepdim=True)
    # an infinite best score shares all the probability with its equals
    below_BI = (scores_BI.double() - best_B1).masked_fill_(scores_BI == best_B1, 0.0)
    weight_BI = below_BI.exp_()
    return _pairwise_sum(weight_BI[:, chosen_E]) / _pairwise_sum(weight_BI)


def _pairwise_sum(values_BN: Tensor) -> Tensor:
    """The sum of each row, in an order that depends on its length alone; overwrites the rows."""
    width = values_BN.shape[1]
    while width > 1:
        half = (width + 1) // 2
        values_BN[:, : width - half] += values_BN[:, half:width]
        width = half
    return values_BN[:, 0]
