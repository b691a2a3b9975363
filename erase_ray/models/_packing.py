"""Where sequences of different lengths lie once they are packed (see :mod:`._gru`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from erase_ray.tasks._arrays import ragged


@dataclass(frozen=True, eq=False)
class Packing:
    """The places of all steps of B sequences, longest first; of equal ones the earlier first.

    Args:
        sequence_N: Which sequence each packed row belongs to.
        step_N: Which step of it the row is, from 0.
        sizes: Number of sequences that reach each step, on the host.
    """

    sequence_N: Tensor
    step_N: Tensor
    sizes: list[int]
    _starts_L: Tensor
    _rank_B: Tensor

    @classmethod
    def of(cls, length_B: Tensor, sizes: Sequence[int] | None = None) -> "Packing":
        """The packing of sequences with these lengths (int64, at least 1 each).

        Args:
            length_B: On any device.
            sizes: As above, if they are known; otherwise the device is asked.
        """
        if sizes is None:
            longest = int(length_B.max())
            steps_L = torch.arange(longest, device=length_B.device)
            sizes = (steps_L[:, None] < length_B).sum(1).tolist()
        device = length_B.device
        order_B = torch.argsort(length_B, descending=True, stable=True)
        rank_B = torch.empty_like(order_B)
        rank_B[order_B] = torch.arange(len(order_B), device=device)
        sizes_L = torch.tensor(sizes, device=device)
        starts_L = sizes_L.cumsum(0) - sizes_L
        rank_N, step_N = ragged(torch.zeros_like(sizes_L), sizes_L, sum(sizes))
        return cls(order_B[rank_N], step_N, list(sizes), starts_L, rank_B)

    def last(self, length_B: Tensor) -> Tensor:
        """The packed row of the last step of each sequence, given the lengths."""
        return self._starts_L[length_B - 1] + self._rank_B

    def place(self, sequence_K: Tensor, step_K: Tensor) -> Tensor:
        """The packed rows of some steps."""
        return self._starts_L[step_K] + self._rank_B[sequence_K]
