"""The table and the only way to delete from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.errors import DataError

GOOD = {
    "user": [0, 0, 0, 1, 1],
    "sequence": [0, 0, 1, 2, 2],
    "step": [0, 1, 0, 0, 0],
    "item": [4, 0, 2, 1, 2],
    "time": [10, 20, 30, 5, 5],
}


@pytest.fixture
def table() -> Interactions:
    return Interactions.prepared({name: np.array(column) for name, column in GOOD.items()})


@st.composite
def tables(draw) -> Interactions:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    user = np.sort(draw(st.lists(st.integers(0, 3), min_size=len(lengths), max_size=len(lengths))))
    items = st.lists(st.integers(0, 9), min_size=len(step), max_size=len(step))
    columns = {"sequence": sequence, "step": step, "user": np.array(user)[sequence]}
    return Interactions.prepared({**columns, "item": draw(items), "time": step * 7})


def test_sizes_and_types(table):
    assert (table.num_users, table.num_items, table.num_sequences) == (2, 5, 3)
    assert table.row.tolist() == [0, 1, 2, 3, 4]
    assert {name: column.dtype for name, column in table.columns()} == {
        "user": np.int32,
        "sequence": np.int32,
        "step": np.int32,
        "item": np.int32,
        "time": np.int64,
    }


def test_without_keeps_ids_and_sizes(table):
    left = table.without(np.array([0, 4]))
    assert left.row.tolist() == [1, 2, 3]
    assert left.item.tolist() == [0, 2, 1]
    assert (left.num_users, left.num_items, left.num_sequences) == (2, 5, 3)


def test_without_ignores_what_is_not_here(table):
    again = table.without(np.array([0])).without(np.array([0, 99]))
    assert again.row.tolist() == [1, 2, 3, 4]


@given(tables(), st.sets(st.integers(0, 40)))
def test_removed_and_left_make_the_full_table(table, rows):
    rows = np.array(sorted(rows), int)
    left, removed = table.without(rows), table.only(rows)
    assert np.array_equal(np.sort(np.append(left.row, removed.row)), table.row)
    for part in (left, removed):
        assert np.all(np.diff(part.row) > 0)
        for name, column in part.columns():
            assert np.array_equal(column, getattr(table, name)[part.row])


@given(tables(), st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_two_deletions_equal_one(table, first, second):
    first, second = np.array(sorted(first), int), np.array(sorted(second), int)
    stepwise = table.without(first).without(second)
    assert np.array_equal(stepwise.row, table.without(np.append(first, second)).row)


@given(tables(), st.sets(st.integers(0, 3)))
def test_rows_of_users(table, users):
    users = np.array(sorted(user for user in users if user < table.num_users), int)
    own = table.of_users(users)
    assert own.row.tolist() == table.row[np.isin(table.user, users)].tolist()


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_column_is_missing(missing):
    with pytest.raises(
        DataError, match=rf"interactions lack the columns \['{missing}'\]; expected"
    ):
        Interactions.prepared({name: col for name, col in GOOD.items() if name != missing})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"item": [0, 1]}, "the columns of the interactions differ in length"),
        ({"item": [0, 1, -2, 3, 4]}, "column item of the interactions holds a negative number"),
        ({"sequence": [1, 0, 2, 2, 2]}, "interactions must be sorted by sequence and step"),
        ({"step": [1, 0, 0, 0, 0]}, "interactions must be sorted by sequence and step"),
    ],
)
def test_a_bad_table(change, text):
    with pytest.raises(DataError, match=text):
        Interactions.prepared({name: np.array(col) for name, col in {**GOOD, **change}.items()})


def test_an_empty_table():
    empty = Interactions.prepared({name: np.zeros(0) for name in COLUMNS})
    assert len(empty) == empty.num_users == empty.num_items == 0
