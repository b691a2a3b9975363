"""Filters and orders on integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.clean import (
    cut_sessions,
    distinct,
    k_core,
    order_by,
    rank_in_group,
    runs,
)

columns = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-3, 5), min_size=n, max_size=n)] * 3)
)


def arrays(drawn) -> list[np.ndarray]:
    return [np.array(column, np.int64) for column in drawn]


@given(columns, st.sampled_from([1, 2**40]))
def test_order_is_that_of_a_plain_sort(drawn, spread):
    keys = [column * spread for column in arrays(drawn)]  # far apart, they fill over 64 bits
    expected = sorted(range(len(keys[0])), key=lambda row: tuple(key[row] for key in keys))
    assert order_by(*keys).tolist() == expected


def test_order_of_nothing():
    assert order_by(np.zeros(0, np.int64)).tolist() == []


@given(columns)
def test_distinct_keeps_first_rows(drawn):
    rows = list(zip(*drawn, strict=True))
    expected = [rows.index(row) == place for place, row in enumerate(rows)]
    assert distinct(*arrays(drawn)).tolist() == expected


def test_distinct_of_nothing():
    assert distinct(np.zeros(0, np.int64)).tolist() == []


def slow_core(pairs: list[tuple[int, int]], k: int, max_rounds: int) -> list[bool]:
    keep = [True] * len(pairs)
    for _ in range(max_rounds):
        left = [pair for pair, kept in zip(pairs, keep, strict=True) if kept]
        fine = [
            sum(p[0] == pair[0] for p in left) >= k and sum(p[1] == pair[1] for p in left) >= k
            for pair in pairs
        ]
        after = [kept and good for kept, good in zip(keep, fine, strict=True)]
        if after == keep:
            break
        keep = after
    return keep


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40),
    st.integers(0, 4),
    st.sampled_from([1, 2, 100]),
)
def test_k_core_is_that_of_a_slow_loop(pairs, k, max_rounds):
    user, item = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    expected = slow_core(pairs, k, max_rounds) if k > 1 else [True] * len(pairs)
    assert k_core(user, item, k, max_rounds).tolist() == expected


def test_k_core_takes_a_second_round():
    # item 2 goes with user 1, and then user 0 has one row only
    user, item = np.array([0, 0, 1, 2, 2]), np.array([1, 2, 2, 1, 1])
    assert k_core(user, item, 2).tolist() == [False, False, False, True, True]
    assert k_core(user, item, 2, max_rounds=1).tolist() == [True, True, False, True, True]


def test_ranks_and_runs():
    group, other = np.array([4, 4, 4, 1, 4]), np.array([0, 0, 1, 1, 1])
    assert rank_in_group(group).tolist() == [0, 1, 2, 0, 0]
    assert rank_in_group(group, other).tolist() == [0, 1, 0, 0, 0]
    assert runs(group).tolist() == [0, 0, 0, 1, 2]
    assert runs(group, other).tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(("gap", "sessions"), [(3600, [0, 0]), (3601, [0, 1])])
def test_a_session_ends_after_more_than_the_gap(gap, sessions):
    assert cut_sessions(np.zeros(2, int), np.array([50, 50 + gap]), 3600).tolist() == sessions


def test_sessions_are_counted_inside_a_user():
    user, time = np.array([0, 0, 0, 1, 1]), np.array([0, 10, 30, 0, 100])
    assert cut_sessions(user, time, 15).tolist() == [0, 0, 1, 0, 1]
    assert cut_sessions(user[:0], time[:0], 15).tolist() == []
