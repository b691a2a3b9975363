"""From raw rows to the numbered table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepare import prepare
from erase_ray.data.split import Split, ratio_marks
from erase_ray.datasets import Dataset, ItemTable, RawData
from erase_ray.errors import DataError


class Toy(Dataset):
    """Nothing but a name and a task."""

    name = "toy"

    @property
    def task(self) -> str:
        return "cf"

    def read(self, files: dict) -> RawData:
        raise NotImplementedError


def by_sequence(interactions: Interactions) -> Split:
    return Split(ratio_marks(interactions.sequence))


# user 10 has two sessions, of which s10 is the earlier one; user 2 one with two items a step
ROWS = [
    # user, sequence, step, item, time
    ("10", "s9", 0, "z", 300),
    ("10", "s10", 1, "a", 101),
    ("10", "s10", 0, "b", 100),
    ("2", "s1", 5, "c", 60),
    ("2", "s1", 5, "b", 60),
    ("2", "s1", 2, "c", 50),
]


def raw(rows: list[tuple] = ROWS, **changes: Any) -> RawData:
    table = pd.DataFrame(rows, columns=["user", "sequence", "step", "item", "time"])
    labels = {item: item.upper() for item in "abcz"}
    return RawData.of_frame(
        changes.pop("table", table), changes.pop("labels", labels), {"odd": {"a", "c", "nowhere"}}
    )


def prepared(data: RawData):
    return prepare(Toy(None), data, by_sequence)


def test_order_and_numbers():
    done = prepared(raw())
    table = done.interactions
    # 2 comes before 10 as a number; s10 before s9 as it is earlier
    assert done.vocabulary.users == ("2", "10")
    assert done.vocabulary.sequences == ("s1", "s10", "s9")
    assert done.vocabulary.items == ("c", "b", "a", "z")
    assert table.user.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.sequence.tolist() == [0, 0, 0, 1, 1, 2]
    assert table.step.tolist() == [2, 5, 5, 0, 1, 0]
    # c is 0 and b is 1: within step 5 the lower inner id comes first
    assert table.item.tolist() == [0, 0, 1, 1, 2, 3]
    assert table.time.tolist() == [50, 60, 60, 100, 101, 300]
    assert done.split.marks.tolist() == [0, 1, 2, 0, 2, 0]


def test_catalogue():
    catalogue = prepared(raw()).catalogue
    assert catalogue.labels == ("C", "B", "A", "Z")
    assert catalogue.members("odd").tolist() == [True, False, True, False]


def test_an_item_without_a_label_is_called_by_its_id():
    catalogue = prepared(raw(labels={"c": "Sea", "b": "Bee"})).catalogue
    assert catalogue.labels == ("Sea", "Bee", "a", "z")


@given(st.permutations(ROWS))
def test_the_order_of_the_raw_rows_plays_no_role(rows):
    one, other = prepared(raw()), prepared(raw(list(rows)))
    assert vars(other.vocabulary) == vars(one.vocabulary)
    assert other.split.hash == one.split.hash
    for name, column in one.interactions.columns():
        assert np.array_equal(getattr(other.interactions, name), column)


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)),
        min_size=1,
        max_size=40,
        unique=True,
    )
)
def test_every_row_comes_back_with_its_outer_ids(drawn):
    rows = [(str(u), f"{u}_{s}", step, str(i), 10 * step) for u, s, step, i in drawn]
    labels = {str(item): "x" for item in range(10)}
    done = prepared(raw(rows, labels=labels))
    table, names = done.interactions, done.vocabulary
    assert len(names.sequences) == table.num_sequences
    back = zip(table.user, table.sequence, table.step, table.item, table.time, strict=True)
    outer = {
        (names.users[u], names.sequences[s], int(step), names.items[i], int(time))
        for u, s, step, i, time in back
    }
    assert outer == set(rows)
    keys = list(zip(table.sequence, table.step, table.item, strict=True))
    assert keys == sorted(keys)
    assert np.all(np.diff(table.user) >= 0)


def test_leading_zeros_are_other_ids():
    rows = [("07", "07", 0, "01", 1), ("7", "7", 0, "1", 1)]
    names = prepared(raw(rows, labels={"1": "x"})).vocabulary
    assert names.users == ("07", "7")
    assert names.items == ("01", "1")


def table_with(column: str, values: list) -> pd.DataFrame:
    return raw().frame().assign(**{column: values})


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (raw().frame().drop(columns="time"), r"raw interactions lack the columns \['time'\]"),
        (raw().frame().iloc[:0], "there are no raw interactions"),
        (table_with("item", ["a", None, *"bcza"]), "column item of the raw interactions has nulls"),
        (
            table_with("time", [0.5] * 6),
            "column time of the raw interactions is float64, expected integers",
        ),
        (
            table_with("step", [-1, 0, 1, 2, 3, 4]),
            "column step of the raw interactions holds a negative number",
        ),
        (
            table_with("user", ["10", "10", "11", "2", "2", "2"]),
            "sequence 's10' of the raw interactions belongs to two users",
        ),
        (
            table_with("time", [300, 99, 100, 60, 60, 50]),
            "the steps of sequence 's10' are not in the order of time",
        ),
        (
            pd.concat([raw().frame()] * 2, ignore_index=True),
            "the raw interactions hold the same item twice in one step of a sequence",
        ),
    ],
)
def test_bad_raw_data(table, text):
    with pytest.raises(DataError, match=text):
        prepared(raw(table=table))


def test_labels_of_another_id_space():
    text = "only 1 of 4 items have a label: labels and interactions seem to use different item ids"
    items = ItemTable.of({"a": "A", "1": "B", "2": "C"}, {"odd": {"1"}})
    with pytest.raises(DataError, match=text):
        prepared(replace(raw(), items=items))


def test_rows_of_one_step_have_one_time():
    rows = [("1", "1", 0, "a", 10), ("1", "1", 0, "b", 11)]
    with pytest.raises(DataError, match="rows of one step of sequence '1' have different times"):
        prepared(raw(rows))
