"""Lists of different lengths in flat arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.csr import Csr

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**31 - 1)), max_size=30)


def lists(csr: Csr) -> list[list[int]]:
    ends = zip(csr.offsets[:-1], csr.offsets[1:], strict=True)
    return [csr.values[low:high].tolist() for low, high in ends]


def of(pairs: list[tuple[int, int]], num_owners: int = 6) -> Csr:
    owners, values = np.array(pairs, np.int64).reshape(-1, 2).T
    return Csr.of_pairs(owners, values, num_owners)


def test_pairs_become_ascending_lists_without_repeats():
    csr = of([(2, 9), (0, 5), (2, 3), (0, 5)], 4)
    assert lists(csr) == [[5], [], [3, 9], []]
    assert csr.values.dtype == np.int32
    assert csr.lengths.tolist() == [1, 0, 2, 0]
    assert csr.owners.tolist() == [0, 2, 2]
    assert len(csr) == 4


@given(PAIRS)
def test_pairs_match_sets(pairs):
    expected = [sorted({value for owner, value in pairs if owner == q}) for q in range(6)]
    assert lists(of(pairs)) == expected


@given(PAIRS, st.lists(st.integers(0, 5), max_size=8))
def test_pick_repeats_and_reorders(pairs, chosen):
    csr = of(pairs)
    assert lists(csr.pick(np.array(chosen, int))) == [lists(csr)[q] for q in chosen]


@given(PAIRS, st.integers(0, 6), st.integers(0, 6))
def test_take_is_a_slice(pairs, one, other):
    csr, start, stop = of(pairs), min(one, other), max(one, other)
    assert lists(csr.take(start, stop)) == lists(csr)[start:stop]


def test_empty_lists():
    assert lists(Csr.empty(3)) == [[], [], []]
    assert lists(of([], 2)) == [[], []]
    assert len(Csr.empty(0)) == 0
