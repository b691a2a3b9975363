"""Which slice of its shard a person belongs to, and how long each slice is trained."""

import numpy as np
import torch

from erase_ray import seeds


def slices_of(shard_U: np.ndarray, num_slices: int, seed: int) -> np.ndarray:
    """The slice of each user inside his or her shard, int64, shape ``(U,)``.

    The people of a shard are dealt out one after the other in a random order, so slices are of
    equal size but for one person, and a shard of fewer people than slices has one slice a person.
    Nothing depends on what anybody did, so a deletion moves nobody.

    Args:
        shard_U: Shard of each user.
        num_slices: Most slices of a shard.
        seed: Root of the order.
    """
    order_U = seeds.order(seed, torch.arange(len(shard_U))).numpy()
    order_U = order_U[np.argsort(shard_U[order_U], kind="stable")]
    size_S = np.bincount(shard_U)
    place_U = np.arange(len(shard_U)) - np.repeat(np.cumsum(size_S) - size_S, size_S)
    slice_U = np.empty(len(shard_U), np.int64)
    slice_U[order_U] = place_U % num_slices
    return slice_U


def slice_epochs(epochs: int, num_slices: int) -> tuple[int, ...]:
    """Passes over slices 1 to r, for each r, that cost as much as ``epochs`` over all of them.

    In the paper each is ``2 * epochs / (num_slices + 1)``. They are whole numbers here, 1 or more,
    and the rounding of one is made up for by the next ones: the visits of examples differ by half
    a pass over the shard at most from ``epochs`` passes, unless the least of 1 costs more.
    """
    visits, passes = 0, []
    for number in range(1, num_slices + 1):
        # in units of one slice, doubled so that halves are rounded up in whole numbers
        wanted = 2 * epochs * number * (number + 1)
        unit = 2 * number * (num_slices + 1)
        lacking = wanted - 2 * visits * (num_slices + 1)
        passes.append(max(1, (lacking + unit // 2) // unit))
        visits += passes[-1] * number
    return tuple(passes)


def visits_of(count_R: np.ndarray, passes: tuple[int, ...], first: int) -> int:
    """Visits of examples in training from slice ``first`` on.

    Args:
        count_R: Examples of each slice; slices without any are passed over.
        passes: Passes over all slices up to each.
        first: The first slice that is trained.
    """
    visits_R = np.cumsum(count_R) * passes * (count_R > 0)
    return int(visits_R[first:].sum())
