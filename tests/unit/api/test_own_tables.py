"""Data frames as tables: ids, times, sequences, baskets, marks."""

import numpy as np
import pandas as pd
import pytest

from erase_ray.api._table import OwnTable, table_of
from erase_ray.data.names import Names
from erase_ray.errors import DataError


def table(rows: list[tuple], names: str, task: str = "cf", **options) -> OwnTable:
    columns = options.pop("columns", {})
    return table_of(pd.DataFrame(rows, columns=names.split()), task, columns, **options)


def outer(made: OwnTable) -> list[tuple[str, str, int]]:
    """User, item and step of each row of the frame, through the inner table."""
    rows, names = made.row_F, made.vocabulary
    inner = made.interactions
    return [
        (names.users[inner.user[row]], names.items[inner.item[row]], int(inner.step[row]))
        for row in rows
    ]


def test_rows_keep_their_places_whatever_their_order():
    made = table([("b", 7, 5), ("a", 9, 3), ("b", 8, 1), ("a", 7, 4)], "user item time")
    assert outer(made) == [("b", "7", 1), ("a", "9", 0), ("b", "8", 0), ("a", "7", 1)]
    assert list(made.vocabulary.users) == ["a", "b"]
    assert list(made.vocabulary.items) == ["9", "7", "8"]  # by first appearance in the table


def test_without_time_the_order_of_the_frame_counts():
    made = table([("a", "z"), ("a", "y"), ("a", "x")], "user item")
    assert [step for *_, step in outer(made)] == [0, 1, 2]


def test_rows_that_say_the_same_are_one():
    made = table([("a", "x", 1), ("a", "y", 2), ("a", "x", 1), ("a", "x", 3)], "user item time")
    assert made.row_F[0] == made.row_F[2]
    assert len(made.interactions) == 3


def test_session_ids_that_begin_anew_for_each_user_are_kept_apart():
    rows = [("a", 1, "x", 1), ("b", 1, "y", 2), ("a", 1, "z", 3)]
    made = table(rows, "user session item time", "session_based")
    assert made.interactions.num_sequences == 2
    assert list(made.vocabulary.sequences) == ["a/1", "b/1"]


def test_without_a_user_each_session_is_one():
    made = table([("s", "x"), ("t", "y")], "session item", "session_based")
    assert list(made.vocabulary.users) == ["s", "t"]


def test_baskets_are_ordered_by_time_and_hold_an_item_once():
    rows = [("a", 9, "x", 50), ("a", 2, "y", 70), ("a", 9, "y", 50), ("a", 9, "x", 51)]
    made = table(rows, "user basket item time", "next_basket")
    assert [step for *_, step in outer(made)] == [0, 1, 0, 0]
    assert made.row_F[0] == made.row_F[3]


def test_without_baskets_a_day_is_one():
    days = pd.to_datetime(["2024-01-01 08:00", "2024-01-01 20:00", "2024-01-03 01:00"])
    frame = pd.DataFrame({"user": "a", "item": ["x", "y", "z"], "time": days})
    made = table_of(frame, "next_basket", {})
    assert made.interactions.step.tolist() == [0, 0, 1]


def test_times_with_fractions_of_seconds_keep_their_order():
    days = pd.to_datetime(["2024-01-01 08:00:00.2", "2024-01-01 08:00:00.1"])
    frame = pd.DataFrame({"user": "a", "item": ["x", "y"], "time": days})
    assert outer(table_of(frame, "cf", {}))[0] == ("a", "x", 1)
    floats = table([("a", "x", 0.75), ("a", "y", 0.25)], "user item time")
    assert outer(floats)[0] == ("a", "x", 1)


def test_whole_seconds_are_unix_seconds_in_any_zone():
    stamps = pd.to_datetime(["2024-01-01 08:00", "2024-01-01 09:00"]).tz_localize("Europe/Berlin")
    made = table_of(pd.DataFrame({"user": "a", "item": ["x", "y"], "time": stamps}), "cf", {})
    assert made.interactions.time.tolist() == [1704092400, 1704096000]


class Ids:
    users = Names.of(["b", "a", "never"])
    items = Names.of(["y", "x"])


def test_ids_of_a_model_are_its_rows():
    made = table([("a", "x", 1), ("b", "y", 2)], "user item time", known=Ids())
    assert made.interactions.user[made.row_F].tolist() == [1, 0]
    assert made.interactions.item[made.row_F].tolist() == [1, 0]
    assert (made.interactions.num_users, made.interactions.num_items) == (3, 2)


def test_marks_may_be_a_column_a_list_or_a_rule():
    rows = [("a", item, item, mark) for item, mark in enumerate(["train", "valid", "test"])]
    by_column = table(rows, "user item time part", split="part")
    assert by_column.split.marks.tolist() == [0, 1, 2]
    by_list = table(rows, "user item time part", split=["test", "train", "train"])
    assert by_list.split.marks.tolist() == [2, 0, 0]
    assert table(rows, "user item time part", split="all").split.marks.tolist() == [0, 0, 0]
    assert table(rows, "user item time part").split.marks.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("rows", "names", "options", "text"),
    [
        ([("a", 1)], "who item", {}, r"task 'cf' needs a column 'user'; the frame has who, item\. "
         r"Say which it is: columns=\{'user': NAME\}"),
        ([("a", 1)], "user what", {}, "needs a column 'item'"),
        ([("a", 1)], "user item", {"task": "next_basket"}, "needs a column 'basket or time'"),
        ([("a", 1)], "what item", {"task": "session_based"}, "needs a column 'session or user'"),
        ([("a", 1)], "user item", {"columns": {"user": "who"}}, r"no column 'who' \(user\)"),
        ([("a", 1)], "user item", {"columns": {"usr": "user"}}, "key 'usr'. Did you mean 'user'"),
        ([], "user item", {}, "has no rows"),
        ([("a", 1), (None, 2)], "user item", {}, r"1 of 2 ids in column 'user' are missing"),
        ([("a", 1.0), ("b", np.nan)], "user item", {}, "1 of 2 ids in column 'item' are missing"),
        ([("a", 1.5)], "user item", {}, "column 'item' holds fractions such as 1.5"),
        ([("a", 1, np.nan)], "user item time", {}, r"1 of 1 times in column 'time' are missing"),
        ([("a", 1, "now")], "user item time", {}, "no time; use pandas.to_datetime"),
        ([("a", 1, np.inf)], "user item time", {}, "time that is not finite"),
        ([("a", "x", 1), ("c", "x", 1)], "user item time", {"known": Ids()},
         "1 of 2 users of the frame are not among the 3 that the model knows, such as 'c'"),
        ([("a", "q", 1)], "user item time", {"known": Ids()}, "1 of 1 items .* such as 'q'"),
        ([("a", 1)], "user item", {"split": "tsk"}, "must be 'task', 'all' or a column"),
        ([("a", 1)], "user item", {"split": ["train", "test"]}, "2 entries, the frame has 1 rows"),
        ([("a", 1)], "user item", {"split": ["dev"]}, "hold train, valid, test; it holds 'dev'"),
    ],
)  # fmt: skip
def test_errors_name_the_thing_and_the_way_out(rows, names, options, text):
    with pytest.raises(DataError, match=text):
        table(rows, names, **options)


def test_only_a_frame_is_a_frame():
    with pytest.raises(DataError, match="must be a pandas DataFrame, got dict"):
        table_of({"user": [1]}, "cf", {})  # type: ignore[arg-type]


def test_integers_that_a_missing_value_made_floats_are_integers_again():
    made = table([("a", 3.0), ("a", 4.0)], "user item")
    assert list(made.vocabulary.items) == ["3", "4"]
