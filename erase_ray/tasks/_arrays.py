"""Small operations on rows that the tasks share."""

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds

_HISTORY = seeds.derive(0, "fingerprint", "history")


def find(wanted: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of ``wanted`` stands in ``known``.

    Args:
        wanted: Any order.
        known: Any order, without repeats.

    Returns:
        Positions in ``wanted`` of what was found, and positions in ``known`` of the same.
    """
    if not len(known):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    found = np.flatnonzero(known[place] == wanted)
    return found, place[found]


def on_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A copy of ``array`` as int64 on the device."""
    return torch.from_numpy(array.astype(np.int64)).to(device)


def ragged(start_B: Tensor, length_B: Tensor, total: int | None = None) -> tuple[Tensor, Tensor]:
    """Positions ``start .. start + length - 1`` of each run, one after the other.

    Args:
        start_B: First position of each run.
        length_B: Positions of each.
        total: The sum of the lengths; None asks the device.

    Returns:
        The positions and the number of the run that each belongs to, both int64, shape
        ``(sum of lengths,)``.
    """
    owner_M = torch.repeat_interleave(length_B, output_size=total)
    shift_B = start_B - (length_B.cumsum(0) - length_B)
    return torch.arange(len(owner_M), device=length_B.device) + shift_B[owner_M], owner_M


def running_hash(row_R: Tensor) -> Tensor:
    """Sums of the hashes of the first 0, 1, ..., R row ids, wrapping, int64, shape ``(R + 1,)``.

    The difference of two sums identifies the rows between them. Rows of a table always stand in
    ascending order, so the same rows are the same rows in the same order.
    """
    sums = torch.zeros(len(row_R) + 1, dtype=torch.int64, device=row_R.device)
    sums[1:] = seeds.hash_ids(_HISTORY, row_R).cumsum(0)
    return sums
