"""Values per query, gathered to sums and counts per seed and user."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erase_ray.errors import DataError

SEED, USER = "seed", "user"


@dataclass(frozen=True)
class Clusters:
    """What each user contributes to the mean of each seed.

    A user's queries belong together, so users are what is resampled. Sums and counts are all that
    a mean over queries needs: its value is ``sum of sums / sum of counts``, whoever is drawn.

    Args:
        sums_SVU: Sum of each value column over the queries of a user.
        counts_SU: Number of those queries; 0 where a seed lacks a user.
    """

    sums_SVU: np.ndarray
    counts_SU: np.ndarray

    @property
    def num_seeds(self) -> int:
        """Seeds with at least one query."""
        return self.counts_SU.shape[0]

    @property
    def num_users(self) -> int:
        """Users with at least one query in any seed."""
        return self.counts_SU.shape[1]

    @property
    def is_finite(self) -> bool:
        """False if a value is infinite."""
        return bool(np.isfinite(self.sums_SVU).all())

    @property
    def means_SV(self) -> np.ndarray:
        """Mean over the queries of each seed."""
        return self.sums_SVU.sum(axis=2) / self.counts_SU.sum(axis=1)[:, None]


def gather(values: pd.DataFrame, columns: Sequence[str]) -> Clusters:
    """Group rows (one a query, or one a user) by seed and user.

    A row with a missing number in any of ``columns`` is left out as a whole, so that what is
    compared is compared on the same queries. Rows are sorted first: their order changes nothing,
    not even the last bit.

    Args:
        values: Columns ``seed``, ``user`` and ``columns``.
        columns: Names of the value columns.

    Raises:
        DataError: If a column is missing.
    """
    _check(values, columns)
    rows = values.loc[:, [SEED, USER, *columns]].dropna()
    numbers = rows[list(columns)].to_numpy(np.float64).T
    seeds, seed_names = pd.factorize(rows[SEED], sort=True)
    users, user_names = pd.factorize(rows[USER], sort=True)
    order = np.lexsort((*numbers, users, seeds))
    place = (seeds * len(user_names) + users)[order]
    shape = len(seed_names), len(user_names)
    size = shape[0] * shape[1]
    sums = [np.bincount(place, column[order], size).reshape(shape) for column in numbers]
    counts = np.bincount(place, minlength=size).reshape(shape)
    return Clusters(np.stack(sums, axis=1), counts.astype(np.float64))


def _check(values: pd.DataFrame, columns: Sequence[str]) -> None:
    lacking = [name for name in (SEED, USER, *columns) if name not in values.columns]
    if lacking:
        known = ", ".join(map(str, values.columns))
        raise DataError(f"the table of values has no column {', '.join(lacking)}; it has: {known}")
