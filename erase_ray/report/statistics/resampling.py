"""Resamples of means: users are drawn with replacement, and seeds above them.

Sources: Field, Welsh: "Bootstrapping clustered data", JRSS B 69, 2007; Saravanan, Berman, Sober:
"Application of the hierarchical bootstrap to multi-level data in neuroscience", 2020; Owen: "The
pigeonhole bootstrap", Annals of Applied Statistics 1, 2007 (seeds and users that cross).
"""

import numpy as np

from erase_ray.report.statistics.clusters import Clusters
from erase_ray.seeds import numpy_generator

_TILE = 16


def resampled_means(clusters: Clusters, resamples: int, seed: int) -> np.ndarray:
    """Means over queries and then seeds, one row a resample, shape ``(R, V)``.

    A resample draws as many users as there are, and one set for all seeds: whoever is drawn twice
    counts twice in each, since what is hard to recommend to her is so in all of them. Of the seeds'
    means it then draws as many as there are. The first resamples are the same however many follow.

    Returns:
        NaN in a row whose users have no query in one of its seeds.
    """
    means_RSV = _over_users(clusters, resamples, seed)
    num_seeds = clusters.num_seeds
    generator = numpy_generator(seed, "bootstrap", "seeds")
    drawn_RS = generator.integers(0, num_seeds, (resamples, num_seeds))
    return np.take_along_axis(means_RSV, drawn_RS[:, :, None], axis=1).mean(axis=1)


def _over_users(clusters: Clusters, resamples: int, seed: int) -> np.ndarray:
    num_seeds, num_values, num_users = clusters.sums_SVU.shape
    sums_UX = np.ascontiguousarray(clusters.sums_SVU.reshape(-1, num_users).T)
    counts_US = np.ascontiguousarray(clusters.counts_SU.T)
    tiles = []
    for tile in range(-(-resamples // _TILE)):
        drawn_TU = _times_drawn(num_users, seed, tile)
        sums_TSV = (drawn_TU @ sums_UX).reshape(_TILE, num_seeds, num_values)
        with np.errstate(invalid="ignore"):
            tiles.append(sums_TSV / (drawn_TU @ counts_US)[:, :, None])
    return np.concatenate(tiles)[:resamples]


def _times_drawn(num_users: int, seed: int, tile: int) -> np.ndarray:
    """How often each user is in each resample of a tile."""
    generator = numpy_generator(seed, "bootstrap", "users", tile)
    users_TU = generator.integers(0, num_users, (_TILE, num_users), dtype=np.int32)
    return np.stack(
        [np.bincount(users_U, minlength=num_users) for users_U in users_TU], dtype=float
    )
