"""Ratings as columns of integers."""

import numpy as np
import pytest

from erase_ray.data.ids import Ids
from erase_ray.datasets import ItemTable
from erase_ray.datasets._ratings import (
    Ratings,
    by_person,
    in_core,
    raw_data,
    require_rows,
    without_repeats,
)
from erase_ray.errors import DataError


def ratings(*rows: tuple[str, str, int]) -> Ratings:
    user, item, time = zip(*rows, strict=True) if rows else ((), (), ())
    users, items = (Ids.of(np.array(column, object)) for column in (user, item))
    return Ratings(users, items, np.array(time, np.int64))


def rows(table: Ratings) -> list[tuple[str, str, int]]:
    return list(zip(table.user.texts(), table.item.texts(), table.time.tolist(), strict=True))


def test_order_is_by_person_then_time_then_item_in_natural_order():
    table = ratings(("10", "a", 1), ("2", "10", 7), ("2", "9", 7), ("2", "x", 3), ("007", "a", 9))
    assert rows(table.take(by_person(table))) == [
        ("2", "x", 3),
        ("2", "9", 7),
        ("2", "10", 7),
        ("007", "a", 9),
        ("10", "a", 1),
    ]


def test_a_repeat_is_equal_in_person_item_time_and_stars():
    table = ratings(
        ("1", "a", 5), ("1", "a", 5), ("1", "a", 5), ("1", "a", 5), ("1", "a", 6), ("2", "a", 6)
    )
    stars = np.array([4.0, 3.5, 4.0, 3.5, 4.0, 4.0])
    assert rows(without_repeats(table, stars)) == [
        ("1", "a", 5),
        ("1", "a", 5),
        ("1", "a", 6),
        ("2", "a", 6),
    ]


def test_nothing_has_no_repeats():
    assert len(without_repeats(ratings(), np.zeros(0))) == 0


def test_core_forgets_the_names_of_those_who_went():
    table = ratings(("1", "a", 0), ("1", "b", 1), ("2", "a", 0), ("2", "b", 1), ("3", "a", 0))
    left = in_core(table, 2)
    assert rows(left) == rows(table)[:4]
    assert left.user.names == ("1", "2")
    assert len(in_core(table, 0)) == 5


def test_a_person_is_a_sequence_with_one_rating_a_step():
    raw = raw_data(
        ratings(("1", "a", 0), ("1", "b", 0), ("2", "a", 5)), ItemTable.of({}, {}), {"read": 3}
    )
    frame = raw.frame()
    assert frame["sequence"].tolist() == ["1", "1", "2"]
    assert frame["step"].tolist() == [0, 1, 0]
    assert raw.counts == {"read": 3}


def test_nothing_left_names_all_steps():
    with pytest.raises(
        DataError, match=r"x\.csv: cleaning leaves no rating \(read 3, rated 1, 5-core 0\)"
    ):
        require_rows("x.csv", {"read": 3, "rated": 1, "5-core": 0})
    require_rows("x.csv", {"read": 3, "rated": 1})
