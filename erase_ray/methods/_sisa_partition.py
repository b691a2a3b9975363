"""Sharding people: at random, or with like-minded ones together."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.models._graph import sums_of_rows

POWER_STEPS = 8
"""Products with the matrix and its transpose that sharpen the singular vectors."""
SPARE = 8
"""Directions beyond those asked for that are searched, for accuracy."""
MOST_ROUNDS = 50
"""Most moves of the centres of the balanced partition."""


def random_shards(num_users: int, num_shards: int, seed: int) -> np.ndarray:
    """The shard of each user, int64, shape ``(U,)``: equal sizes but for one person.

    A function of the number of users and the seed alone.
    """
    shard_U = np.empty(num_users, np.int64)
    shard_U[seeds.order(seed, torch.arange(num_users)).numpy()] = np.arange(num_users) % num_shards
    return shard_U


def balanced_shards(vector_UD: Tensor, num_shards: int, seed: int) -> np.ndarray:
    """The shard of each user, int64, shape ``(U,)``: like-minded people share one.

    k-means in which a centre takes ``ceil(U / num_shards)`` people at most; in each round the
    nearest pair of a person and a centre with room is joined, then the next (see :func:`joined`),
    until nobody moves.

    Paper: Chen et al., "Recommendation Unlearning", WWW 2022 (RecEraser), algorithm 1.

    Args:
        vector_UD: What each user likes.
        num_shards: Number of centres; the first are the vectors of as many people.
        seed: Root of the choice of these.
    """
    capacity = -(-len(vector_UD) // num_shards)
    first_S = seeds.order(seed, torch.arange(len(vector_UD)))[:num_shards]
    centre_SD = vector_UD[first_S]
    shard_U = torch.full((len(vector_UD),), -1)
    for _ in range(MOST_ROUNDS):
        before_U = shard_U
        shard_U = torch.from_numpy(joined(_distances(vector_UD, centre_SD).numpy(), capacity))
        if torch.equal(shard_U, before_U):
            break
        sum_SD = torch.zeros_like(centre_SD).index_add_(0, shard_U, vector_UD)
        size_S = torch.bincount(shard_U, minlength=len(centre_SD)).clamp(min=1)
        centre_SD = sum_SD / size_S[:, None]
    return shard_U.numpy()


def joined(distance_US: np.ndarray, capacity: int) -> np.ndarray:
    """Join users and centres by ascending distance, as long as a centre has room.

    Equal distances: the lower user first, then the lower centre. The same as walking down the
    sorted list of all pairs, but for all people at once: everyone asks the nearest centre that
    has not turned him or her away, and a centre keeps the nearest who ask. Both sides judge by
    the same distance, so the outcome of the two is the same stable matching (Gale, Shapley 1962).

    Args:
        distance_US: From each user to each centre.
        capacity: People a centre has room for; there must be room for all.

    Returns:
        The centre of each user, int64, shape ``(U,)``.
    """
    num_users = len(distance_US)
    wish_US = np.argsort(distance_US, axis=1, kind="stable")
    asked_U, centre_U = np.zeros(num_users, np.int64), np.full(num_users, -1)
    while len(free := np.flatnonzero(centre_U < 0)):
        centre_U[free] = wish_US[free, asked_U[free]]
        asked_U[free] += 1
        near_U = np.lexsort((distance_US[np.arange(num_users), centre_U], centre_U))
        size_S = np.bincount(centre_U, minlength=distance_US.shape[1])
        place_U = np.arange(num_users) - np.repeat(np.cumsum(size_S) - size_S, size_S)
        centre_U[near_U[place_U >= capacity]] = -1
    return centre_U


@torch.no_grad()
def user_vectors(interactions: Interactions, split: Split, size: int, seed: int) -> Tensor:
    """What each user likes, as a vector of length 1, float64, shape ``(U, size)``.

    The rows of ``U S`` in a truncated singular value decomposition of the table of counts, users
    x items, of the training rows; 0 for people without any. By subspace iteration from drawn
    directions (Halko, Martinsson, Tropp: "Finding Structure with Randomness", SIAM Review 2011).

    Args:
        interactions: The rows that are left.
        split: Mark of each row.
        size: Length of a vector; fewer where the table has fewer rows or columns.
        seed: Root of the directions.
    """
    inside = split.select(interactions, Part.TRAIN)
    user_R, item_R = interactions.user[inside], interactions.item[inside]
    sizes = (interactions.num_users, interactions.num_items)
    size = min(size, *sizes)
    table, turned = _Table(user_R, item_R, sizes), _Table(item_R, user_R, (sizes[1], sizes[0]))
    drawn = seeds.numpy_generator(seed).standard_normal((sizes[1], min(size + SPARE, *sizes)))
    basis_UK = _orthogonal(table.times(torch.from_numpy(drawn)))
    for _ in range(POWER_STEPS):
        basis_IK = _orthogonal(turned.times(basis_UK))
        basis_UK = _orthogonal(table.times(basis_IK))
    left_KK, spread_K, _ = torch.linalg.svd(turned.times(basis_UK).T, full_matrices=False)
    vector_UD = (basis_UK @ left_KK * spread_K)[:, :size]
    is_there_U1 = table.times(torch.ones(sizes[1], 1, dtype=torch.float64)) > 0
    return functional.normalize(vector_UD) * is_there_U1


class _Table:
    """Counts of pairs as a sparse matrix, by row."""

    def __init__(self, row: np.ndarray, column: np.ndarray, sizes: tuple[int, int]) -> None:
        rows, columns = sizes
        key_G, count_G = np.unique(row.astype(np.int64) * columns + column, return_counts=True)
        size_N = np.bincount(key_G // columns, minlength=rows)
        self._start = torch.from_numpy(np.append(0, np.cumsum(size_N)))
        self._column = torch.from_numpy(key_G % columns)
        self._weight = torch.from_numpy(count_G.astype(np.float64))

    def times(self, table_ND: Tensor) -> Tensor:
        return sums_of_rows(self._start, self._column, self._weight, table_ND)


def _orthogonal(table_NK: Tensor) -> Tensor:
    return torch.linalg.qr(table_NK).Q


def _distances(vector_UD: Tensor, centre_SD: Tensor) -> Tensor:
    """Squared distances, shape ``(U, S)``."""
    square_US = vector_UD.square().sum(1)[:, None] + centre_SD.square().sum(1)
    return square_US - 2 * vector_UD @ centre_SD.T
