"""The cut of groups into train, valid and test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split, ratio_marks


def sizes(n: int) -> tuple[int, ...]:
    return tuple(np.bincount(ratio_marks(np.zeros(n, int)), minlength=3).tolist())


def expected(n: int) -> tuple[int, ...]:
    """The rule in whole numbers, written a second time: tenths, then one row each, test first."""
    valid, test = n // 10, n // 10
    train = n - valid - test
    if 0 < n < 10 and train > 1:
        test, train = test + 1, train - 1
    if 0 < n < 10 and train > 1:
        valid, train = valid + 1, train - 1
    return train, valid, test


@pytest.mark.parametrize(
    ("n", "parts"),
    [
        (1, (1, 0, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (8, (6, 1, 1)),
        (9, (7, 1, 1)),
        (10, (8, 1, 1)),
        (19, (17, 1, 1)),
        (20, (16, 2, 2)),
        (30, (24, 3, 3)),
        (70, (56, 7, 7)),
    ],
)
def test_borders_of_the_parts(n, parts):
    assert sizes(n) == parts


def test_sizes_from_1_to_1000_follow_the_rule():
    assert [sizes(n) for n in range(1, 1001)] == [expected(n) for n in range(1, 1001)]


@given(st.lists(st.integers(1, 40), max_size=12))
def test_each_group_is_cut_alone_and_in_order(lengths):
    marks = ratio_marks(np.repeat(np.arange(len(lengths)), lengths))
    assert marks.dtype == np.int8
    assert len(marks) == sum(lengths)
    ends = np.cumsum(lengths)
    for length, end in zip(lengths, ends, strict=True):
        own = marks[end - length : end]
        assert np.array_equal(own, np.sort(own))
        assert tuple(np.bincount(own, minlength=3).tolist()) == expected(length)


def test_the_group_ids_themselves_play_no_role():
    assert np.array_equal(ratio_marks(np.repeat([7, 3], [3, 2])), [0, 1, 2, 0, 2])


def test_other_shares():
    # 0.25 * 8 = 2 for valid, 0.5 * 8 = 4 for test
    assert np.array_equal(ratio_marks(np.zeros(8, int), (0.25, 0.5)), [0, 0, 1, 1, 2, 2, 2, 2])
    assert np.array_equal(ratio_marks(np.zeros(4, int), (0.0, 0.25)), [0, 0, 0, 2])


def test_marks_stay_with_their_rows_after_a_deletion():
    columns = {name: [0, 0, 0, 0] for name in ("user", "sequence", "item", "time")}
    table = Interactions.prepared({**columns, "step": [0, 1, 2, 3]})
    split = Split(np.array([0, 0, 1, 2], np.int8))
    left = table.without(np.array([1]))
    assert split.of(left).tolist() == [0, 1, 2]
    assert split.select(left, Part.TRAIN, Part.TEST).tolist() == [True, False, True]


def test_rows_behind_the_split_are_train():
    split = Split(np.array([0, 1, 2], np.int8)).extended(2)
    assert split.marks.tolist() == [0, 1, 2, 0, 0]
    assert split.marks.dtype == np.int8


def test_hash_is_that_of_the_marks_alone():
    marks = np.array([0, 1, 2], np.int8)
    assert Split(marks).hash == Split(marks.astype(np.int64)).hash
    assert Split(marks).hash != Split(marks[::-1]).hash
    # SHA-256 of the bytes 00 01 02
    assert Split(marks).hash == "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"
