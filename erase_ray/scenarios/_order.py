"""When wishes are served: their order, and which of them are merged to one request."""

from itertools import pairwise

import numpy as np

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.scenarios._base import ChainSettings, RequestSpec, mark_bounds, merged

Wish = tuple[np.ndarray, np.ndarray]
"""The people whose rows are named, and those rows; both ascending, int64."""


def wishes_by(owner_N: np.ndarray, row_N: np.ndarray) -> list[Wish]:
    """One wish an owner, in the order of their ids, for all of the rows that are theirs.

    Args:
        owner_N: Inner id of the person of each row, in any order.
        row_N: Row ids, ascending.
    """
    order = np.argsort(owner_N, kind="stable")
    owners, starts = np.unique(owner_N[order], return_index=True)
    parts = np.split(row_N[order].astype(np.int64), starts[1:])
    return list(zip(owners.astype(np.int64)[:, None], parts, strict=True)) if len(owners) else []


def served(
    wishes: list[Wish], interactions: Interactions, settings: ChainSettings, seed: int
) -> tuple[tuple[RequestSpec, ...], np.ndarray]:
    """The requests of a chain, and the place of each wish.

    Args:
        wishes: At least one, by ascending id of what they are about.
        interactions: The table that holds their rows.
        settings: Order and size of a batch.
        seed: Root of a drawn order.

    Returns:
        The requests in the order in which they are served, and the wishes' numbers in that order.
    """
    order = _order(wishes, interactions, settings, seed)
    bounds = [0, *mark_bounds(len(wishes))]
    # batches begin anew behind each mark
    starts = [start for low, high in pairwise(bounds) for start in range(low, high, settings.batch)]
    single = [RequestSpec(0, *wishes[number]) for number in order]
    batches = (single[start:end] for start, end in pairwise([*starts, len(wishes)]))
    return tuple(merged(number, tuple(batch)) for number, batch in enumerate(batches)), order


def marks_of(order: np.ndarray) -> np.ndarray:
    """The mark (1 to 4) that first includes each wish, int8, by its number."""
    marks = np.empty(len(order), np.int8)
    places = np.arange(len(order))
    marks[order] = 1 + np.searchsorted(mark_bounds(len(order)), places, side="right")
    return marks


def _order(
    wishes: list[Wish], interactions: Interactions, settings: ChainSettings, seed: int
) -> np.ndarray:
    if settings.order == "seed":
        return seeds.numpy_generator(seed, "order").permutation(len(wishes))
    if settings.order == "id":
        return np.arange(len(wishes))
    rows = np.concatenate([rows for _, rows in wishes])
    starts = np.cumsum([0, *(len(rows) for _, rows in wishes[:-1])])
    times = interactions.time[np.searchsorted(interactions.row, rows)]
    return np.argsort(np.maximum.reduceat(times, starts), kind="stable")
