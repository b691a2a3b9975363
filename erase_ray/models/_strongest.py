"""The largest values of lists of different lengths."""

import torch
from torch import Tensor
from torch.nn import functional

from erase_ray.tasks._arrays import ragged

_LOW = (1 << 32) - 1


def strongest(value_C: Tensor, length_B: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each list, largest first; of equal ones the first in the list.

    Args:
        value_C: The lists one after the other, float32, 0 or more, none NaN, shape ``(C,)``.
        length_B: Length of each list, int64, shape ``(B,)``.
        k: How many of each to take, 1 or more.

    Returns:
        Values, float32, and their places in ``value_C``, int64, both of shape ``(B, k)``. Behind
        the end of a short list both are 0.
    """
    longest = int(length_B.max()) if len(length_B) else 0
    start_B = length_B.cumsum(0) - length_B
    # bits of a float that is not negative are in its order; below them the lower place is more
    column_C, owner_C = ragged(torch.zeros_like(length_B), length_B)
    key_C = (value_C.contiguous().view(torch.int32).long() << 32) + (_LOW - column_C)
    key_BL = key_C.new_full((len(length_B), longest), -1)
    key_BL[owner_C, column_C] = key_C
    key_BK = functional.pad(
        key_BL.topk(min(k, longest), dim=1).values, (0, k - min(k, longest)), value=-1
    )
    is_there_BK = key_BK >= 0
    value_BK = (key_BK >> 32).int().view(torch.float32).masked_fill(~is_there_BK, 0)
    place_BK = (start_B[:, None] + _LOW - (key_BK & _LOW)) * is_there_BK
    return value_BK, place_BK
