"""Filters that readers of baskets share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.names import Names
from erase_ray.datasets import ItemTable
from erase_ray.datasets._baskets import Limits, Purchases

EVERYTHING = Limits(1, 0, 1, 1, counts_last=True)


def purchases(*rows: tuple[int, int, int]) -> Purchases:
    """From (user, when, item); the time is ten times ``when``."""
    user, when, item = np.array(rows, np.int64).reshape(-1, 3).T
    return Purchases.of(user.astype(np.int32), when, item.astype(np.int32), when * 10)


def table(bought: Purchases) -> list[tuple[int, ...]]:
    columns = (bought.user, bought.steps, bought.item, bought.time)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def history(user: int, *baskets: tuple[int, ...]) -> list[tuple[int, int, int]]:
    return [(user, day, item) for day, basket in enumerate(baskets) for item in basket]


def test_rows_are_sorted_and_a_product_is_in_a_basket_once():
    bought = purchases((1, 5, 8), (0, 9, 3), (1, 2, 8), (0, 9, 3), (0, 9, 1), (1, 5, 8))
    assert table(bought) == [(0, 0, 1, 90), (0, 0, 3, 90), (1, 0, 8, 20), (1, 1, 8, 50)]


def test_two_users_may_have_a_basket_at_one_time():
    assert table(purchases((0, 4, 1), (1, 4, 1))) == [(0, 0, 1, 40), (1, 0, 1, 40)]


def test_no_rows():
    bought = purchases()
    left, counts = bought.filtered(EVERYTHING)
    assert len(left) == len(left.steps) == 0
    assert counts == {"distinct": 0, "regular": 0, "common": 0, "left": 0}


@pytest.mark.parametrize(("least", "most", "users"), [(3, 0, [2, 3]), (3, 3, [2]), (2, 3, [1, 2])])
def test_limits_of_baskets_are_inclusive(least, most, users):
    rows = history(1, (7,), (7, 8)) + history(2, *[(7,)] * 3) + history(3, *[(7,)] * 4)
    left = purchases(*rows).of_users_with(least, most)
    assert np.unique(left.user).tolist() == users


def test_last_baskets_do_not_count_for_products_unless_asked():
    rows = history(0, (1, 2), (1,), (2, 3)) + history(1, (2,), (3,))
    bought = purchases(*rows)
    assert np.unique(bought.of_common_items(2, counts_last=False).item).tolist() == [1, 2]
    assert np.unique(bought.of_common_items(2, counts_last=True).item).tolist() == [1, 2, 3]


def test_empty_baskets_vanish_and_their_users_can_fall_under_the_limit():
    rows = history(0, (1,), (9,), (1,), (1,)) + history(1, (1,), (1,), (9, 1))
    left, counts = purchases(*rows).filtered(Limits(3, 0, 3, 3, counts_last=True))
    assert counts == {"distinct": 8, "regular": 8, "common": 6, "left": 6}
    assert table(left)[:3] == [(0, 0, 1, 0), (0, 1, 1, 20), (0, 2, 1, 30)]
    left, counts = purchases(*rows).filtered(Limits(3, 0, 3, 4, counts_last=True))
    assert counts["left"] == len(left) == 0


def test_users_who_are_left_out_do_not_count_for_products():
    rows = history(0, (1,), (1,), (2,)) + history(1, (2,))
    left, counts = purchases(*rows).filtered(Limits(2, 0, 2, 1, counts_last=True))
    assert np.unique(left.item).tolist() == [1]
    assert counts == {"distinct": 4, "regular": 3, "common": 2, "left": 2}


def test_interactions_have_the_outer_ids():
    known = Names.of(["a", "b"])
    raw = purchases((1, 3, 0), (1, 4, 1)).raw_data(
        (known, known), ItemTable.of({}, {}), {"read": 2}
    )
    assert raw.frame().to_dict("list") == {
        "user": ["b", "b"],
        "sequence": ["b", "b"],
        "step": [0, 1],
        "item": ["a", "b"],
        "time": [30, 40],
    }
    assert raw.counts == {"read": 2}


rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5)), max_size=60)


@given(rows, st.integers(1, 3), st.integers(0, 4), st.integers(1, 4), st.booleans())
def test_filters_are_those_of_plain_python(rows, least, most, common, counts_last):
    limits = Limits(least, most, common, least, counts_last)
    left, _ = purchases(*rows).filtered(limits)
    people: dict[int, dict[int, set[int]]] = {}
    for user, when, item in rows:
        people.setdefault(user, {}).setdefault(when, set()).add(item)
    kept = {u: [h[w] for w in sorted(h)] for u, h in people.items()}
    kept = {u: h for u, h in kept.items() if least <= len(h) <= (most or 99)}
    counted = [i for h in kept.values() for b in (h if counts_last else h[:-1]) for i in b]
    kept = {
        u: [c for b in h if (c := {i for i in b if counted.count(i) >= common})]
        for u, h in kept.items()
    }
    expected = [
        (u, step, i)
        for u, h in sorted(kept.items())
        if len(h) >= least
        for step, b in enumerate(h)
        for i in sorted(b)
    ]
    assert [row[:3] for row in table(left)] == expected
