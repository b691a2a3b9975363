"""When wishes are served, and what a chain knows of its marks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scenario_toys import build, profiles

from erase_ray.scenarios import Chain, ChainSettings, RequestSpec
from erase_ray.scenarios._order import marks_of, served, wishes_by

# who, which rows; latest times 9, 4, 9, 1
TABLE = profiles([[0, 1], [2], [3, 4], [5]], times=[2, 9, 4, 9, 9, 1])


def requests(order="id", batch=1, seed=3):
    wishes = wishes_by(TABLE.user, TABLE.row)
    return served(wishes, TABLE, ChainSettings(order=order, batch=batch), seed)[0]


def test_wishes_are_by_owner_and_their_rows_ascend():
    wishes = wishes_by(np.array([7, 2, 7, 2, 9]), np.array([1, 3, 4, 6, 8]))
    assert [(users.tolist(), rows.tolist()) for users, rows in wishes] == [
        ([2], [3, 6]),
        ([7], [1, 4]),
        ([9], [8]),
    ]
    assert wishes_by(np.zeros(0, int), np.zeros(0, int)) == []


def test_by_id():
    assert [request.user for request in requests()] == [0, 1, 2, 3]
    assert [request.id for request in requests()] == [0, 1, 2, 3]
    assert [request.rows.tolist() for request in requests()] == [[0, 1], [2], [3, 4], [5]]


def test_by_the_time_of_the_latest_row_then_by_id():
    assert [request.user for request in requests("time")] == [3, 1, 0, 2]


def test_by_seed():
    drawn = {tuple(r.user for r in requests("seed", seed=seed)) for seed in range(30)}
    assert len(drawn) > 10
    assert all(sorted(users) == [0, 1, 2, 3] for users in drawn)
    first, again = (requests("seed", seed=5) for _ in range(2))
    assert [r.user for r in first] == [r.user for r in again]


def test_a_batch_is_one_request_of_several_people():
    # marks after 1, 2, 3 and 4 wishes: nothing can be merged
    assert [request.num_wishes for request in requests(batch=3)] == [1, 1, 1, 1]
    chain = Chain(many(8, batch=5), np.arange(8), np.ones(1, bool))
    assert [request.users.tolist() for request in chain.requests] == [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
    ]
    assert [request.user for request in chain.requests] == [-1] * 4
    assert chain.marks == (1, 2, 3, 4)


def many(num: int, batch: int) -> tuple[RequestSpec, ...]:
    table = profiles([[0, 1]] * num)
    return served(wishes_by(table.user, table.row), table, ChainSettings(batch=batch), 1)[0]


@pytest.mark.parametrize(
    ("num", "batch", "wishes", "marks"),
    [
        # marks after 3, 5, 8 and 10 wishes
        (10, 1, [1] * 10, (3, 5, 8, 10)),
        (10, 2, [2, 1, 2, 2, 1, 2], (2, 3, 5, 6)),
        (10, 100, [3, 2, 3, 2], (1, 2, 3, 4)),
        # marks after 1, 1, 2 and 2
        (2, 2, [1, 1], (1, 1, 2, 2)),
        (1, 3, [1], (1, 1, 1, 1)),
    ],
)
def test_batches_end_at_the_marks(num, batch, wishes, marks):
    chain = Chain(many(num, batch), np.arange(num), np.ones(1, bool))
    assert [request.num_wishes for request in chain.requests] == wishes
    assert chain.marks == marks


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=23),
    st.integers(1, 9),
    st.sampled_from(["id", "time", "seed"]),
    st.integers(0, 99),
)
def test_the_rows_of_each_mark_are_the_same_for_every_batch(items_by_user, batch, order, seed):
    table = profiles([*items_by_user, [0]])
    settings = {"order": order, "num_users": len(items_by_user)}
    single, batched = (build("account", table, seed=seed, batch=b, **settings) for b in (1, batch))
    assert len(batched) <= len(single)
    for mark in (1, 2, 3, 4):
        rows = [chain.rows(chain.marks[mark - 1]).tolist() for chain in (single, batched)]
        assert rows[0] == rows[1] == batched.merged(mark).rows.tolist()
        assert single.probed_at(mark).tolist() == batched.probed_at(mark).tolist()
        left = table.without(np.array(rows[0]))
        assert sorted([*left.row.tolist(), *rows[0]]) == table.row.tolist()
    assert sum(request.num_wishes for request in batched.requests) == len(single)
    together = np.concatenate([request.rows for request in batched.requests])
    assert len(np.unique(together)) == len(together)


def test_the_mark_of_each_wish():
    # 5 wishes, marks after 2, 3, 4 and 5; wish 3 is served first
    assert marks_of(np.array([3, 0, 1, 2, 4])).tolist() == [1, 2, 3, 1, 4]


def test_people_count_from_the_mark_at_which_a_request_names_them():
    chain = Chain(many(4, batch=1), np.array([0, 2, 3]), np.ones(1, bool))
    assert [chain.probed_at(mark).tolist() for mark in (1, 2, 3, 4)] == [
        [0],
        [0],
        [0, 2],
        [0, 2, 3],
    ]
    everyone = dataclasses.replace(chain, probes_all=True)
    assert everyone.probed_at(1).tolist() == [0, 2, 3]


def test_items_count_from_their_mark():
    items = np.array([True, True, False])
    chain = Chain(many(4, 1), np.arange(4), items, item_marks=np.array([1, 3, 1], np.int8))
    assert chain.items_at(2).tolist() == [True, False, False]
    assert chain.items_at(3).tolist() == [True, True, False]


def test_the_hash_covers_everything_in_the_chain():
    chain = Chain(many(4, 1), np.arange(4), np.array([True, False]))
    first = chain.requests[0]
    others = [
        dataclasses.replace(chain, requests=chain.requests[::-1]),
        dataclasses.replace(
            chain, requests=(dataclasses.replace(first, users=np.array([3])), *chain.requests[1:])
        ),
        dataclasses.replace(
            chain, requests=(dataclasses.replace(first, rows=first.rows[:1]), *chain.requests[1:])
        ),
        dataclasses.replace(chain, probe=np.arange(3)),
        dataclasses.replace(chain, items=np.array([False, True])),
        dataclasses.replace(chain, item_marks=np.array([2, 1], np.int8)),
        dataclasses.replace(chain, probes_all=True),
        dataclasses.replace(chain, poison=TABLE),
        dataclasses.replace(chain, poison=dataclasses.replace(TABLE, time=TABLE.time + 1)),
        Chain(many(4, 2), np.arange(4), np.array([True, False])),
        Chain(many(8, 2), np.arange(4), np.array([True, False])),
    ]
    assert len({chain.hash, *(other.hash for other in others)}) == 11
    assert others[-2].hash == chain.hash  # four wishes have four marks: nothing was merged


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"batch": 0}, r"batch\n\s+Input should be greater than or equal to 1"),
        ({"order": "name"}, r"order\n\s+Input should be 'id', 'time' or 'seed'"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(ValidationError, match=text):
        ChainSettings(**settings)
