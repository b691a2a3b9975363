"""Long work in pieces of bounded size."""

from collections.abc import Iterator

import torch
from torch import Tensor


def pieces(size_N: Tensor, most: int) -> Iterator[slice]:
    """Consecutive runs of entries whose sizes add up to ``most`` or less, in order.

    An entry that is larger than ``most`` makes a piece of its own. The ends are computed on the
    host, once.

    Args:
        size_N: Sizes, int64, shape ``(N,)``, 0 or more.
        most: Largest sum of sizes of a piece.
    """
    end_N = size_N.cumsum(0).cpu()
    start, done = 0, 0
    while start < len(end_N):
        stop = int(torch.searchsorted(end_N, done + most, right=True))
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start, done = stop, int(end_N[stop - 1])
