"""Lists of different lengths in two flat arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Csr:
    """One list of integers an owner (compressed sparse rows).

    Args:
        offsets: int64, shape ``(Q + 1,)``; list q is ``values[offsets[q]:offsets[q + 1]]``.
        values: int32, shape ``(V,)``.
    """

    offsets: np.ndarray
    values: np.ndarray

    @classmethod
    def of_pairs(cls, owners: np.ndarray, values: np.ndarray, num_owners: int) -> "Csr":
        """Lists from (owner, value) pairs in any order; each list ascending, without repeats."""
        pairs = np.unique(owners.astype(np.int64) << 32 | values.astype(np.int64))
        counts = np.bincount(pairs >> 32, minlength=num_owners)
        return cls(np.r_[0, np.cumsum(counts)], (pairs & 0xFFFFFFFF).astype(np.int32))

    @classmethod
    def empty(cls, num_owners: int) -> "Csr":
        """``num_owners`` lists with nothing in them."""
        return cls(np.zeros(num_owners + 1, np.int64), np.zeros(0, np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Length of each list, shape ``(Q,)``."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> np.ndarray:
        """Owner of each value, shape ``(V,)``."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def pick(self, chosen: np.ndarray) -> "Csr":
        """The lists at the given positions, in that order."""
        starts, lengths = self.offsets[chosen], self.lengths[chosen]
        offsets = np.r_[0, np.cumsum(lengths)]
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return Csr(offsets, self.values[np.repeat(starts, lengths) + within])

    def take(self, start: int, stop: int) -> "Csr":
        """The lists ``start`` to ``stop - 1``."""
        low, high = self.offsets[start], self.offsets[stop]
        return Csr(self.offsets[start : stop + 1] - low, self.values[low:high])
