"""What a model answered, with what is needed to judge it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from erase_ray.data.csr import Csr


def _nothing() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Exposure:
    """Where in the whole ranking of a query the items stand whose exposure is measured.

    Args:
        rank_Q: Mean of their ranks, the first being 1, float32, shape ``(Q,)``.
        mass_Q: Sum of their softmax probabilities, float32, shape ``(Q,)``.
    """

    rank_Q: np.ndarray
    mass_Q: np.ndarray

    @classmethod
    def unknown(cls, num_queries: int) -> "Exposure":
        """NaN for each of so many queries."""
        nothing_Q = np.full(num_queries, np.nan, np.float32)
        return cls(nothing_Q, nothing_Q)

    def pick(self, chosen: np.ndarray | slice) -> "Exposure":
        """That of some queries, by their positions."""
        return Exposure(self.rank_Q[chosen], self.mass_Q[chosen])


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model ranked highest, with what is needed to judge it.

    Args:
        ranked_QK: Item ids, best first, int32, shape ``(Q, K)``; -1 behind the last item.
        relevant: Items that would be right, by query.
        items_I: bool, shape ``(I,)``: the items whose exposure is measured.
        exposure: Their places in the whole ranking; None where nobody asked.
        users_Q: Who asks, shape ``(Q,)``; only groups need it.
        rows_Q: Row id of the (first) row that is asked for, shape ``(Q,)``; the same.
    """

    ranked_QK: np.ndarray
    relevant: Csr
    items_I: np.ndarray
    exposure: Exposure | None = None
    users_Q: np.ndarray = field(default_factory=_nothing)
    rows_Q: np.ndarray = field(default_factory=_nothing)

    def __len__(self) -> int:
        return len(self.ranked_QK)

    @property
    def known_exposure(self) -> Exposure:
        """:attr:`exposure`, or NaN where nobody asked."""
        return self.exposure or Exposure.unknown(len(self))

    @property
    def num_items(self) -> int:
        """Size of the catalogue."""
        return len(self.items_I)

    def hits(self, k: int) -> np.ndarray:
        """bool, shape ``(Q, k)``: True where the item at that rank is relevant.

        Its columns are contiguous, so that it is best summed up rank by rank.
        """
        return self._hits_KQ[:k].T

    def num_hits(self, k: int) -> np.ndarray:
        """Relevant items among the first k, int16, shape ``(Q,)``."""
        return self._hits_KQ[:k].sum(axis=0, dtype=np.int16)

    @cached_property
    def first_hit(self) -> np.ndarray:
        """Rank of the first relevant item, from 1 on; infinity where there is none."""
        first_Q = np.full(len(self), np.inf)
        for place in reversed(range(len(self._hits_KQ))):
            first_Q[self._hits_KQ[place]] = place + 1
        return first_Q

    def shown(self, k: int) -> np.ndarray:
        """Items whose exposure is measured among the first k, int64, shape ``(Q,)``."""
        # one place more, for the -1 behind the last item
        marked = np.append(self.items_I, False)
        return np.count_nonzero(marked[self.ranked_QK[:, :k]], axis=1)

    def pick(self, chosen: np.ndarray) -> "Answers":
        """The answers to the queries at the given positions, in that order."""
        return self._of(chosen, self.relevant.pick(chosen))

    def take(self, start: int, stop: int) -> "Answers":
        """The answers to the queries ``start`` to ``stop - 1``, or to the last one."""
        stop = min(stop, len(self))
        return self._of(slice(start, stop), self.relevant.take(start, stop))

    def _of(self, chosen: np.ndarray | slice, relevant: Csr) -> "Answers":
        exposure = self.exposure and self.exposure.pick(chosen)
        users_Q, rows_Q = (
            ids if not len(ids) else ids[chosen] for ids in (self.users_Q, self.rows_Q)
        )
        return Answers(self.ranked_QK[chosen], relevant, self.items_I, exposure, users_Q, rows_Q)

    def only(self, items_I: np.ndarray) -> "Answers":
        """The same answers, where nothing but ``items_I`` (bool, shape ``(I,)``) is relevant."""
        keep = items_I[self.relevant.values]
        kept = np.r_[0, np.cumsum(keep)][self.relevant.offsets]
        relevant = Csr(kept, self.relevant.values[keep])
        return Answers(self.ranked_QK, relevant, self.items_I)

    @cached_property
    def _hits_KQ(self) -> np.ndarray:
        num_queries, depth = self.ranked_QK.shape
        hits_KQ = np.zeros((depth, num_queries), bool)
        owners, values = self.relevant.owners, self.relevant.values
        found = np.flatnonzero(self.ranked_QK[owners] == values[:, None])
        hits_KQ[found % max(depth, 1), owners[found // max(depth, 1)]] = True
        return hits_KQ
