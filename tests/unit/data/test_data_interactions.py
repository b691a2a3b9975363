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


def fakes(table: Interactions, **changes) -> Interactions:
    """Two rows of one new person, in one new sequence."""
    columns = {
        "user": np.array([2, 2], np.int32),
        "sequence": np.array([3, 3], np.int32),
        "step": np.array([0, 1], np.int32),
        "item": np.array([4, 0], np.int32),
        "time": np.array([6, 7]),
        "row": np.array([5, 6]),
    }
    sizes = {"num_users": 3, "num_items": 5, "num_sequences": 4}
    return Interactions(**(columns | sizes | changes))


def test_appended_rows_go_on_where_the_table_ends(table):
    whole = table.appended(fakes(table))
    assert whole.row.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert whole.user.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert whole.time.tolist() == [10, 20, 30, 5, 5, 6, 7]
    assert (whole.num_users, whole.num_items, whole.num_sequences) == (3, 5, 4)
    assert whole.of_users(np.array([2])).item.tolist() == [4, 0]
    assert (len(table), table.num_users) == (5, 2)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"row": np.array([6, 7])}, "^the row ids of the rows to append begin at 6, expected 5$"),
        ({"row": np.array([5, 7])}, "^the row ids of the rows to append have gaps$"),
        (
            {"user": np.array([1, 1])},
            "^the user ids of the rows to append begin at 1, expected 2$",
        ),
        (
            {"sequence": np.array([4, 4])},
            "^the sequence ids of the rows to append begin at 4, expected 3$",
        ),
        (
            {"num_items": 6},
            "^the rows to append have items of a catalogue of 6, this table has 5$",
        ),
        ({"step": np.array([1, 0])}, "^interactions must be sorted by sequence and step$"),
    ],
)
def test_rows_that_cannot_be_appended(table, changes, text):
    with pytest.raises(DataError, match=text):
        table.appended(fakes(table, **changes))


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
