"""Items that are withdrawn for everybody."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenario_toys import build, profiles

from erase_ray.errors import ScenarioError
from erase_ray.scenarios._bands import Bands
from erase_ray.scenarios.item import Item

# rows of items 0 to 4: four, three, two, one, one
TABLE = profiles([[0, 1, 2], [0, 1], [0, 3, 1], [2, 0], [4]])


def test_all_rows_of_an_item_of_everybody():
    chain = build("item", TABLE, num_items=4)
    assert len(chain) == 4
    for request in chain.requests:
        item = int(TABLE.item[request.rows[0]])
        assert request.rows.tolist() == TABLE.row[TABLE.item == item].tolist()
        assert request.users.tolist() == np.unique(TABLE.user[TABLE.item == item]).tolist()
    named = [int(TABLE.item[request.rows[0]]) for request in chain.requests]
    assert named == sorted(named) == np.flatnonzero(chain.items).tolist()


def test_popular_and_unpopular_are_a_fifth_each():
    popular = build("item", TABLE, num_items=1, choose="popular")
    assert np.flatnonzero(popular.items).tolist() == [0]
    assert popular.probe.tolist() == [0, 1, 2, 3]
    unpopular = build("item", TABLE, num_items=1, choose="unpopular")
    # of items 3 and 4, both with one row, the higher id ranks last
    assert np.flatnonzero(unpopular.items).tolist() == [4]


def test_of_a_category():
    for seed in range(10):
        chain = build("item", TABLE, num_items=1, category="drinks", seed=seed)
        assert np.flatnonzero(chain.items).tolist() in ([0], [1])


def test_person_and_item_count_from_the_mark_at_which_it_is_gone():
    chain = build("item", TABLE, num_items=4, order="seed")
    for mark in (1, 2, 3, 4):
        served = chain.requests[: chain.marks[mark - 1]]
        gone = {int(TABLE.item[request.rows[0]]) for request in served}
        assert set(np.flatnonzero(chain.items_at(mark))) == gone
        owners = np.unique(TABLE.user[np.isin(TABLE.item, list(gone))])
        assert chain.probed_at(mark).tolist() == owners.tolist()


def test_at_most_so_many_are_probed():
    chain = build("item", TABLE, num_items=1, choose="popular", num_probe=2)
    assert len(chain.probe) == 2
    assert set(chain.probe) < {0, 1, 2, 3}
    assert chain.probe.tolist() == sorted(chain.probe)


def test_what_the_tables_say():
    scenario = Item(Item.Settings(category="drinks"))
    assert scenario.category == "drinks"
    assert math.isnan(scenario.fraction)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"num_items": 6},
            r"^num_items is 6, but only 5 random items can be withdrawn; lower it$",
        ),
        (
            {"num_items": 2, "choose": "popular", "category": "drinks"},
            r"^num_items is 2, but only 1 popular items of category 'drinks' can be withdrawn; "
            r"lower it$",
        ),
        ({"category": "food"}, r"^no category is called 'food'"),
        ({"num_items": 5}, r"^all rows are of the 5 items; lower num_items$"),
    ],
)
def test_what_cannot_be_built_says_why(settings, text):
    with pytest.raises(ScenarioError, match=text):
        build("item", TABLE, **settings)


def test_bands_of_a_ranking():
    bands = Bands.of(profiles([[0, 0, 1], [0, 1, 2], [3]]))
    assert bands.ranked_I.tolist() == [0, 1, 2, 3]
    wide = Bands(np.arange(15))
    assert wide.popular().tolist() == [0, 1, 2]
    assert wide.unpopular().tolist() == [12, 13, 14]
    assert wide.between(0.3, 0.7).tolist() == [4, 5, 6, 7, 8, 9]
    assert wide.popular(0.05).tolist() == [0]
    assert Bands(np.arange(1)).unpopular().tolist() == [0]


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=6), min_size=2, max_size=12),
    st.integers(0, 99),
    st.integers(1, 4),
)
def test_more_items_are_the_same_ones_and_more(items_by_user, seed, number):
    table = profiles([*items_by_user, [0, 1, 2, 3, 4, 5, 6]])
    fewer, more = (build("item", table, seed=seed, num_items=n) for n in (number, number + 1))
    assert set(np.flatnonzero(fewer.items)) < set(np.flatnonzero(more.items))
    rows = np.concatenate([request.rows for request in more.requests])
    assert len(np.unique(rows)) == len(rows)
    for mark in (1, 2, 3, 4):
        gone = more.rows(more.marks[mark - 1])
        left = table.without(gone)
        assert sorted([*left.row.tolist(), *gone.tolist()]) == table.row.tolist()
        assert not more.items_at(mark)[left.item].any()
