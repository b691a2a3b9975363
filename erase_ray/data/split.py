"""Train, valid and test: one mark a row, made once from the full data."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from erase_ray.data.interactions import Interactions
from erase_ray.data.runs import run_sizes, run_starts


class Part(IntEnum):
    """The part of the split that a row belongs to."""

    TRAIN = 0
    VALID = 1
    TEST = 2


@dataclass(frozen=True, eq=False)
class Split:
    """The mark of every row of the prepared table; deletions and poison never move it.

    Args:
        marks: int8, shape ``(R,)``, indexed by row id.
    """

    marks: np.ndarray

    def of(self, interactions: Interactions) -> np.ndarray:
        """The marks of the rows that are left in ``interactions``, shape ``(len(...),)``."""
        return self.marks[interactions.row]

    def select(self, interactions: Interactions, *parts: Part) -> np.ndarray:
        """True for the rows of ``interactions`` that belong to one of ``parts``."""
        return np.isin(self.of(interactions), parts)

    def extended(self, num_rows: int) -> "Split":
        """The split with ``num_rows`` further rows behind it, all of them train."""
        return Split(np.append(self.marks, np.zeros(num_rows, self.marks.dtype)))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the marks, in hexadecimal."""
        return hashlib.sha256(self.marks.astype(np.int8).tobytes()).hexdigest()


def ratio_marks(group: np.ndarray, shares: tuple[float, float] = (0.1, 0.1)) -> np.ndarray:
    """Marks of rows that are cut by time inside each group: train, then valid, then test.

    A group of n rows gives floor(share * n) rows each to valid and test; a part whose share of n
    is strictly between 0 and 1 then takes one row from train (test first) as long as train keeps
    at least one. So n=1 is 1/0/0, n=2 is 1/0/1, n=3 is 1/1/1, n=10 is 8/1/1.

    Args:
        group: Group of each row, shape ``(R,)``; rows of a group are adjacent and in time order.
        shares: Shares of valid and of test.

    Returns:
        int8, shape ``(R,)``.
    """
    if not len(group):
        return np.zeros(0, np.int8)
    sizes = run_sizes(run_starts(group), len(group))
    lengths = np.column_stack(_part_sizes(sizes, shares)).ravel()
    parts = np.array((Part.TRAIN, Part.VALID, Part.TEST), np.int8)
    return np.repeat(np.tile(parts, len(sizes)), lengths)


def _part_sizes(
    sizes: np.ndarray, shares: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # the small number keeps 0.1 * 30 (2.9999...) from losing a row to rounding
    valid, test = (np.floor(share * sizes + 1e-9).astype(np.int64) for share in shares)
    train = sizes - valid - test
    for part, share in ((test, shares[1]), (valid, shares[0])):
        take = (share * sizes > 0) & (share * sizes < 1) & (train > 1)
        part += take
        train = train - take
    return train, valid, test
