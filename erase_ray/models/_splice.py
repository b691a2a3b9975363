"""Take entries out of flat arrays and put others in, without sorting them again."""

from itertools import chain, pairwise

import torch
from torch import Tensor

FEW = 256
"""Entries up to which the stretches between them are copied as a whole."""


def starts(length_B: Tensor) -> Tensor:
    """Where each list begins, and the last ends, shape ``(len(length_B) + 1,)``."""
    start_B = length_B.new_zeros(len(length_B) + 1)
    torch.cumsum(length_B, 0, out=start_B[1:])
    return start_B


def without(flat_V: Tensor, place_M: Tensor) -> Tensor:
    """A copy of ``flat_V`` without the entries at some places, which are ascending."""
    if len(place_M) > FEW:
        return flat_V[all_but(place_M, len(flat_V))]
    places = place_M.tolist()
    begins, ends = [0, *(place + 1 for place in places)], [*places, len(flat_V)]
    return torch.cat([flat_V[begin:end] for begin, end in zip(begins, ends, strict=True)])


def inserted(flat_V: Tensor, place_M: Tensor, value_M: Tensor) -> Tensor:
    """A copy of ``flat_V`` with further entries.

    Args:
        flat_V: Any dtype.
        place_M: Before which entry each of the new ones goes, ascending; those with the same place
            stay in their order.
        value_M: The new entries.
    """
    if len(place_M) > FEW:
        target_M = place_M + torch.arange(len(place_M), device=place_M.device)
        is_old_V = all_but(target_M, len(flat_V) + len(value_M))
        whole_V = flat_V.new_empty(len(is_old_V))
        whole_V[is_old_V] = flat_V
        whole_V[target_M] = value_M
        return whole_V
    old = [flat_V[begin:end] for begin, end in pairwise([0, *place_M.tolist(), len(flat_V)])]
    new = [*value_M.split(1), value_M[:0]] if len(value_M) else [value_M]
    return torch.cat([*chain.from_iterable(zip(old, new, strict=True))])


def all_but(place_M: Tensor, size: int) -> Tensor:
    """bool, shape ``(size,)``: False at the places."""
    is_other_S = torch.ones(size, dtype=torch.bool, device=place_M.device)
    is_other_S[place_M] = False
    return is_other_S


def lower_bounds(flat_V: Tensor, start_M: Tensor, end_M: Tensor, wanted_M: Tensor) -> Tensor:
    """The first place in each of some ascending runs whose value is not below the one wanted.

    Args:
        flat_V: Holds the runs.
        start_M: Where each begins.
        end_M: Where each ends; the answer if all its values are below.
        wanted_M: One value a run.
    """
    low_M, high_M = start_M.clone(), end_M.clone()
    longest = int((high_M - low_M).max()) if len(low_M) else 0
    for _ in range(longest.bit_length()):
        middle_M = (low_M + high_M) // 2
        is_below_M = flat_V[middle_M.clamp(max=len(flat_V) - 1)] < wanted_M
        is_open_M = low_M < high_M
        low_M = torch.where(is_open_M & is_below_M, middle_M + 1, low_M)
        high_M = torch.where(is_open_M & ~is_below_M, middle_M, high_M)
    return low_M
