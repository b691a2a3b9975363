"""The items of each session and the sessions of each item, latest first."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from erase_ray.models._baseline import TrainingRows
from erase_ray.models._splice import all_but, inserted, lower_bounds, starts, without
from erase_ray.tasks._arrays import ragged


@dataclass(frozen=True, eq=False)
class SessionIndex:
    """Sessions with their sets of items; all int64.

    The time of a session is that of its last row; of two at the same time the one with the higher
    number is later.

    Args:
        number_S: Numbers of the sessions that have rows, ascending.
        time_S: Their times.
        rank_S: Their places in time, 0 is the latest.
        session_offset: Where the items of each begin, by rank, and where the last end.
        session_item_V: Ascending for each session, without repeats.
        item_offset: Where the sessions of each item begin, and where the last end.
        item_session_V: Ranks, ascending for each item.
    """

    number_S: Tensor
    time_S: Tensor
    rank_S: Tensor
    session_offset: Tensor
    session_item_V: Tensor
    item_offset: Tensor
    item_session_V: Tensor

    @classmethod
    def of(cls, rows: TrainingRows, num_items: int) -> "SessionIndex":
        """The index of training rows."""
        number_S, size_S = torch.unique_consecutive(rows.sequence_N, return_counts=True)
        time_S = rows.time_N[size_S.cumsum(0) - 1]
        rank_S = _inverse(_latest_first(time_S))
        key_V = torch.unique(rank_S.repeat_interleave(size_S) * num_items + rows.item_N)
        rank_V, session_item_V = key_V // num_items, key_V % num_items
        return cls(
            number_S,
            time_S,
            rank_S,
            starts(torch.bincount(rank_V, minlength=len(number_S))),
            session_item_V,
            starts(torch.bincount(session_item_V, minlength=num_items)),
            rank_V[session_item_V.argsort(stable=True)],
        )

    def changed(self, number_A: Tensor, rows: TrainingRows) -> "SessionIndex":
        """The index in which some sessions have fewer rows, equal to one made anew.

        Takes a few copies of the lists, and no sorting of them.

        Args:
            number_A: The sessions, ascending, all of them known.
            rows: What they have left; nothing for those that are to vanish.
        """
        place_A = torch.searchsorted(self.number_S, number_A)
        assert torch.equal(self.number_S[place_A.clamp(max=len(self.number_S) - 1)], number_A)
        number_B, size_B = torch.unique_consecutive(rows.sequence_N, return_counts=True)
        time_B = rows.time_N[size_B.cumsum(0) - 1]
        stays_B = self.time_S[torch.searchsorted(self.number_S, number_B)] == time_B
        goes_A = ~torch.isin(number_A, number_B[stays_B])
        less = self._less(place_A, number_A, goes_A, rows)
        smaller = less._without_sessions(place_A[goes_A])
        comes_N = ~stays_B.repeat_interleave(size_B)
        return smaller._with_sessions(number_B[~stays_B], time_B[~stays_B], rows.of(comes_N))

    def _less(
        self, place_A: Tensor, number_A: Tensor, goes_A: Tensor, rows: TrainingRows
    ) -> "SessionIndex":
        """The index without the items that some sessions lost, which is all of those that go."""
        num_items, rank_A = len(self.item_offset) - 1, self.rank_S[place_A]
        length_A = self.session_offset[rank_A + 1] - self.session_offset[rank_A]
        place_M, owner_M = ragged(self.session_offset[rank_A], length_A)
        item_M = self.session_item_V[place_M]
        is_left_M = torch.isin(
            number_A[owner_M] * num_items + item_M, rows.sequence_N * num_items + rows.item_N
        )
        lost_M = ~is_left_M | goes_A[owner_M]
        place_M, item_M, rank_M = place_M[lost_M], item_M[lost_M], rank_A[owner_M[lost_M]]
        found_M = lower_bounds(
            self.item_session_V, self.item_offset[item_M], self.item_offset[item_M + 1], rank_M
        )
        return replace(
            self,
            session_offset=_moved(self.session_offset, rank_M, -1),
            session_item_V=without(self.session_item_V, place_M.sort().values),
            item_offset=_moved(self.item_offset, item_M, -1),
            item_session_V=without(self.item_session_V, found_M.sort().values),
        )

    def _without_sessions(self, place_A: Tensor) -> "SessionIndex":
        """The index without some sessions that have no items any more."""
        if not len(place_A):
            return self
        gone_A = self.rank_S[place_A].sort().values
        new_R = all_but(gone_A, len(self.rank_S)).cumsum(0) - 1
        return replace(
            self,
            number_S=without(self.number_S, place_A),
            time_S=without(self.time_S, place_A),
            rank_S=new_R[without(self.rank_S, place_A)],
            session_offset=without(self.session_offset, gone_A),
            item_session_V=new_R.index_select(0, self.item_session_V),
        )

    def _with_sessions(
        self, number_B: Tensor, time_B: Tensor, rows: TrainingRows
    ) -> "SessionIndex":
        """The index with further sessions."""
        if not len(number_B):
            return self
        num_items, place_B = len(self.item_offset) - 1, torch.searchsorted(self.number_S, number_B)
        later_B = self._num_later(number_B, time_B)
        order_B = _latest_first(time_B)
        rank_B = later_B + _inverse(order_B)
        old_R = torch.arange(len(self.rank_S), device=later_B.device)
        new_R = old_R + torch.searchsorted(later_B[order_B], old_R, right=True)
        owner_N = torch.searchsorted(number_B, rows.sequence_N)
        key_W = torch.unique(rank_B[owner_N] * num_items + rows.item_N)
        rank_W, item_W = key_W // num_items, key_W % num_items
        before_W = self.session_offset[rank_W - torch.searchsorted(rank_B[order_B], rank_W)]
        offset_B = self.session_offset[later_B[order_B]]
        by_item_W, order_W = item_W.sort(stable=True)
        session_V = new_R.index_select(0, self.item_session_V)
        place_W = lower_bounds(
            session_V, self.item_offset[by_item_W], self.item_offset[by_item_W + 1], rank_W[order_W]
        )
        session_offset = inserted(self.session_offset, later_B[order_B], offset_B)
        return SessionIndex(
            inserted(self.number_S, place_B, number_B),
            inserted(self.time_S, place_B, time_B),
            inserted(new_R[self.rank_S], place_B, rank_B),
            _moved(session_offset, rank_W, 1),
            inserted(self.session_item_V, before_W, item_W),
            _moved(self.item_offset, item_W, 1),
            inserted(session_V, place_W, rank_W[order_W]),
        )

    def _num_later(self, number_B: Tensor, time_B: Tensor) -> Tensor:
        """How many sessions are later than those that come in."""
        earliest_first_S = _inverse(self.rank_S).flip(0)
        number_S, time_S = self.number_S[earliest_first_S], self.time_S[earliest_first_S]
        low_B = torch.searchsorted(time_S, time_B)
        high_B = torch.searchsorted(time_S, time_B, right=True)
        return len(time_S) - lower_bounds(number_S, low_B, high_B, number_B)


def _latest_first(time_S: Tensor) -> Tensor:
    """Places of sessions in order of their numbers, latest first."""
    return time_S.argsort(stable=True).flip(0)


def _inverse(order_S: Tensor) -> Tensor:
    """Where each number stands in a permutation."""
    place_S = torch.empty_like(order_S)
    place_S[order_S] = torch.arange(len(order_S), device=order_S.device)
    return place_S


def _moved(offset: Tensor, list_M: Tensor, by: int) -> Tensor:
    """Offsets after an entry more (1) or less (-1) of each of the lists."""
    ends = torch.bincount(list_M + 1, minlength=len(offset)).cumsum(0)
    return offset + by * ends
