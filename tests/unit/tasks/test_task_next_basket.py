"""Baskets, on a table that can be checked by eye and against a slow twin."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.tasks import Cut
from erase_ray.tasks.next_basket import NextBasket

CUT = Cut(2, torch.device("cpu"))
TASK = NextBasket()


def table(people: list[list[list[int]]]) -> Interactions:
    """Rows of each person's baskets, in their order."""
    rows = [
        (user, step, item)
        for user, baskets in enumerate(people)
        for step, basket in enumerate(baskets)
        for item in sorted(basket)
    ]
    user, step, item = np.array(rows).T
    return Interactions.prepared(
        {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    )


@pytest.fixture
def data() -> Interactions:
    """Rows 0-7 are user 0, 8-9 user 1, 10-14 user 2."""
    return table(
        [
            [[1, 2], [0], [2, 3], [1], [0, 4]],
            [[0], [1]],
            [[3], [2], [1, 4], [0]],
        ]
    )


@pytest.fixture
def split(data):
    return TASK.split(data)


def histories(examples) -> list[list[list[int]]]:
    return unpack(examples.inputs(torch.arange(len(examples))))


def unpack(batch) -> list[list[list[int]]]:
    baskets: list[list[int]] = [[] for _ in batch.owner_K]
    for item, basket in zip(batch.item_M.tolist(), batch.basket_M.tolist(), strict=True):
        baskets[basket].append(item)
    owned: list[list[list[int]]] = [[] for _ in range(len(batch))]
    for basket, owner in zip(baskets, batch.owner_K.tolist(), strict=True):
        owned[owner].append(basket)
    assert [len(own) for own in owned] == batch.num_baskets_B.tolist()
    return owned


def targets(batch) -> list[list[int]]:
    owned: list[list[int]] = [[] for _ in range(len(batch))]
    for item, owner in zip(batch.target_T.tolist(), batch.target_owner_T.tolist(), strict=True):
        owned[owner].append(item)
    return owned


def test_split_keeps_the_last_two_baskets_of_each_user(split):
    assert split.marks.tolist() == [0, 0, 0, 0, 0, 1, 2, 2, 1, 2, 0, 0, 1, 1, 2]


def test_examples_aim_at_the_last_training_basket(data, split):
    examples = TASK.examples(data, split, CUT)
    assert examples.rows.tolist() == [3, 11]
    assert examples.users.tolist() == [0, 2]
    assert histories(examples) == [[[1, 2], [0]], [[3]]]
    assert targets(examples.batch(torch.arange(2), 0)) == [[2, 3], [2]]


def test_batches_follow_their_index(data, split):
    examples = TASK.examples(data, split, CUT)
    batch = examples.batch(torch.tensor([1, 0]), 0)
    assert unpack(batch) == [[[3]], [[1, 2], [0]]]
    assert targets(batch) == [[2], [2, 3]]
    alone = examples.take(torch.tensor([1])).batch(torch.tensor([0]), 0)
    assert unpack(alone) == [[[3]]]
    assert targets(alone) == [[2]]


def test_only_the_latest_baskets_are_read(data, split):
    examples = TASK.examples(data, split, Cut(1, CUT.device))
    assert histories(examples) == [[[0]], [[3]]]


def test_a_basket_that_is_empty_vanishes(data, split):
    """Without row 2 (basket 1 of user 0) the history is basket 0; without 10 user 2 has none."""
    examples = TASK.examples(data.without(np.array([2, 10])), split, CUT)
    assert examples.rows.tolist() == [3]
    assert histories(examples) == [[[1, 2]]]


def test_the_target_loses_items_and_then_moves_back(data, split):
    smaller = TASK.examples(data.without(np.array([3])), split, CUT)
    assert smaller.rows.tolist() == [4, 11]
    assert targets(smaller.batch(torch.arange(2), 0)) == [[3], [2]]
    moved = TASK.examples(data.without(np.array([3, 4])), split, CUT)
    assert moved.rows.tolist() == [2, 11]
    assert targets(moved.batch(torch.arange(2), 0)) == [[0], [2]]


@pytest.mark.parametrize(
    ("part", "users", "history", "relevant"),
    [
        (Part.VALID, [0, 2], [[[0], [2, 3]], [[3], [2]]], [[1], [1, 4]]),
        (Part.TEST, [0, 1, 2], [[[2, 3], [1]], [[0]], [[2], [1, 4]]], [[0, 4], [1], [0]]),
    ],
)
def test_queries_show_all_earlier_baskets_and_mask_nothing(
    data, split, part, users, history, relevant
):
    queries = TASK.queries(data, split, part, CUT)
    assert queries.users.tolist() == users
    assert histories(queries.inputs) == history
    assert targets(queries.inputs.batch(torch.arange(len(queries)), 0)) == relevant
    found = np.split(queries.relevant.values, queries.relevant.offsets[1:-1])
    assert [part.tolist() for part in found] == relevant
    assert queries.masked.values.size == 0
    assert len(queries.masked) == len(users)


def test_probe_shows_all_that_is_left_in_the_order_of_the_users(data, split):
    left = data.without(np.array([7, 8, 9]))
    probe = TASK.probe(left, split, np.array([2, 1, 0]), CUT)
    assert probe.users.tolist() == [2, 0]
    assert probe.inputs.rows.tolist() == [14, 6]
    assert histories(probe.inputs) == [[[1, 4], [0]], [[1], [0]]]
    assert not probe.inputs.aims_at(torch.ones(5, dtype=torch.bool)).any()


def test_no_rows_give_nothing(data, split):
    nothing = data.only(np.zeros(0, np.int64))
    examples = TASK.examples(nothing, split, CUT)
    assert len(examples) == 0
    assert len(examples.batch(torch.arange(0), 1)) == 0
    assert examples.fingerprints().tolist() == []
    assert len(TASK.queries(nothing, split, Part.TEST, CUT)) == 0
    assert len(TASK.probe(nothing, split, np.array([0]), CUT)) == 0


def test_an_item_listed_twice_in_a_basket_counts_once():
    data = table([[[1, 1, 2], [0, 0], [3], [2]]])
    examples = TASK.examples(data, TASK.split(data), CUT)
    batch = examples.batch(torch.arange(1), 0)
    assert unpack(batch) == [[[1, 2]]]
    assert targets(batch) == [[0]]
    probe = TASK.probe(data, TASK.split(data), np.array([0]), Cut(9, CUT.device))
    assert histories(probe.inputs) == [[[1, 2], [0], [3], [2]]]


def test_fingerprints_tell_target_and_history_apart(data, split):
    before = TASK.examples(data, split, CUT).fingerprints().tolist()
    for forgotten in ([0], [2], [3], [4]):
        after = TASK.examples(data.without(np.array(forgotten)), split, CUT)
        assert after.fingerprints()[0] not in before
        assert after.fingerprints()[1] == before[1]
    # what the history does not reach, and what comes after the target, does not count
    short = Cut(1, CUT.device)
    whole = TASK.examples(data, split, short).fingerprints()
    later = TASK.examples(data.without(np.array([0, 5, 6])), split, short).fingerprints()
    assert whole.tolist() == later.tolist()


def test_moving_a_row_from_history_to_target_changes_the_fingerprint():
    together = table([[[0], [1, 2], [3], [4]]])
    apart = table([[[0, 1], [2], [3], [4]]])
    prints = [TASK.examples(one, TASK.split(one), CUT).fingerprints() for one in (together, apart)]
    assert prints[0].tolist() != prints[1].tolist()


def test_aims_at_any_item_of_the_target(data, split):
    marked = torch.zeros(5, dtype=torch.bool)
    marked[3] = True
    assert TASK.examples(data, split, CUT).aims_at(marked).tolist() == [True, False]
    marked[2] = True
    assert TASK.examples(data, split, CUT).aims_at(marked).tolist() == [True, True]


PEOPLE = st.lists(
    st.lists(st.sets(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=7),
    min_size=1,
    max_size=4,
)


@given(PEOPLE, st.sets(st.integers(0, 60)), st.integers(1, 4))
def test_examples_and_queries_are_those_of_a_slow_twin(people, forgotten, max_history):
    data = table([[sorted(basket) for basket in baskets] for baskets in people])
    split, cut = TASK.split(data), Cut(max_history, CUT.device)
    left = data.without(np.array(sorted(forgotten), np.int64))
    train, asked = [], []
    for user, baskets in enumerate(people):
        kept = [
            (step, [int(r) for r in left.row if (data.user[r], data.step[r]) == (user, step)])
            for step in range(len(baskets))
        ]
        kept = [(step, data.item[rows].tolist()) for step, rows in kept if rows]
        past = [basket for step, basket in kept if step < len(baskets) - 2]
        if len(past) > 1:
            train.append((user, past[:-1][-max_history:], past[-1]))
        if len(kept) > 1 and kept[-1][0] == len(baskets) - 1:
            seen = [basket for _, basket in kept]
            asked.append((user, seen[:-1][-max_history:], seen[-1]))
    examples = TASK.examples(left, split, cut)
    assert triples(examples) == train
    assert triples(TASK.queries(left, split, Part.TEST, cut).inputs) == asked


def triples(examples) -> list[tuple[int, list[list[int]], list[int]]]:
    batch = examples.batch(torch.arange(len(examples)), 0)
    return list(zip(examples.users.tolist(), unpack(batch), targets(batch), strict=True))
