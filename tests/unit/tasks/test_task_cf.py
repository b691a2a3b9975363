"""Pairs of user and item, on a table that can be checked by eye."""

import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.tasks import Cut
from erase_ray.tasks.cf import Cf

CUT = Cut(0, torch.device("cpu"))
TASK = Cf()


def table(users: list[int], items: list[int]) -> Interactions:
    users_R = np.array(users)
    steps = np.arange(len(users)) - np.searchsorted(users_R, users_R)
    return Interactions.prepared(
        {
            "user": users_R,
            "sequence": users_R,
            "step": steps,
            "item": np.array(items),
            "time": steps,
        }
    )


@pytest.fixture
def data() -> Interactions:
    """User 0: train 4, valid 2, test 0. User 1: train 1, test 3. User 2: train 5."""
    return table([0, 0, 0, 1, 1, 2], [4, 2, 0, 1, 3, 5])


@pytest.fixture
def split(data):
    return TASK.split(data)


def lists(csr) -> list[list[int]]:
    return [part.tolist() for part in np.split(csr.values, csr.offsets[1:-1])]


def test_split_cuts_each_user_by_time(split):
    assert split.marks.tolist() == [0, 1, 2, 0, 2, 0]


def test_examples_are_the_training_rows(data, split):
    examples = TASK.examples(data, split, CUT)
    assert examples.rows.tolist() == [0, 3, 5]
    assert examples.users.tolist() == [0, 1, 2]
    batch = examples.batch(torch.tensor([2, 0]), seed=1)
    assert batch.user_B.tolist() == [2, 0]
    assert batch.item_B is not None
    assert batch.item_B.tolist() == [5, 4]


def test_examples_of_some_users_keep_their_row_ids(data, split):
    examples = TASK.examples(data.of_users(np.array([1, 2])), split, CUT)
    assert examples.rows.tolist() == [3, 5]
    assert examples.users.tolist() == [1, 2]


def test_no_rows_give_no_examples_and_no_queries(data, split):
    nothing = data.only(np.zeros(0, np.int64))
    assert len(TASK.examples(nothing, split, CUT)) == 0
    assert len(TASK.examples(nothing, split, CUT).batch(torch.arange(0), 1)) == 0
    assert len(TASK.queries(nothing, split, Part.TEST, CUT)) == 0


def test_test_queries_mask_train_and_valid(data, split):
    queries = TASK.queries(data, split, Part.TEST, CUT)
    assert queries.users.tolist() == [0, 1]
    assert queries.inputs.rows.tolist() == [2, 4]
    assert lists(queries.relevant) == [[0], [3]]
    assert lists(queries.masked) == [[2, 4], [1]]


def test_valid_queries_mask_train_alone(data, split):
    queries = TASK.queries(data, split, Part.VALID, CUT)
    assert queries.users.tolist() == [0]
    assert lists(queries.relevant) == [[2]]
    assert lists(queries.masked) == [[4]]


def test_what_is_right_is_never_masked():
    data = table([0] * 4, [1, 1, 2, 1])
    queries = TASK.queries(data, TASK.split(data), Part.TEST, CUT)
    assert lists(queries.relevant) == [[1]]
    assert lists(queries.masked) == [[2]]


def test_a_forgotten_row_is_neither_asked_nor_masked(data, split):
    queries = TASK.queries(data.without(np.array([0, 4])), split, Part.TEST, CUT)
    assert queries.users.tolist() == [0]
    assert lists(queries.masked) == [[2]]


def test_probe_asks_in_the_given_order_also_who_has_nothing_left(data, split):
    left = data.without(np.array([1, 5]))
    queries = TASK.probe(left, split, np.array([2, 1, 0]), CUT)
    assert queries.users.tolist() == [2, 1, 0]
    assert queries.inputs.rows.tolist() == [-1, 4, 2]
    assert lists(queries.masked) == [[], [1], [4]]
    assert lists(queries.relevant) == [[], [], []]
    assert queries.inputs.inputs(torch.tensor([1])).user_B.tolist() == [1]
    assert not queries.inputs.aims_at(torch.ones(6, dtype=torch.bool)).any()


@pytest.fixture
def many():
    """200 users with 8 to 12 of 30 items each."""
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(30)[: 8 + user % 5] for user in range(200)]
    users = [user for user, items in enumerate(chosen) for _ in items]
    return table(users, np.concatenate(chosen).tolist())


def negatives(data, split, index, seed=5):
    examples = TASK.examples(data, split, CUT)
    negative = examples.batch(index, seed).negative_B
    assert negative is not None
    return examples, negative


def test_negatives_are_items_without_a_training_row_of_the_user(many):
    split = TASK.split(many)
    examples, drawn = negatives(many, split, torch.arange(len(split.marks[split.marks == 0])))
    assert examples.items is not None
    had = set(zip(examples.users.tolist(), examples.items.tolist(), strict=True))
    assert not had & set(zip(examples.users.tolist(), drawn.tolist(), strict=True))
    assert set(drawn.tolist()) == set(range(30))


def test_a_negative_depends_on_seed_and_row_alone(many):
    split = TASK.split(many)
    examples, together = negatives(many, split, torch.arange(500))
    _, alone = negatives(many, split, torch.tensor([321]))
    assert together[321] == alone[0]
    taken = examples.take(torch.tensor([7, 321])).batch(torch.tensor([1]), 5).negative_B
    assert taken is not None
    assert taken[0] == alone[0]
    user = int(examples.users[321])
    own = TASK.examples(many.of_users(np.array([user])), split, CUT)
    place = torch.nonzero(own.rows == examples.rows[321]).flatten()
    of_view = own.batch(place, 5).negative_B
    assert of_view is not None
    assert of_view[0] == alone[0]
    _, other_seed = negatives(many, split, torch.arange(500), seed=6)
    assert not torch.equal(together, other_seed)


def test_negatives_of_one_row_are_uniform():
    """23 rows leave 4 items to draw; 800 seeds give 200 each, give or take 5 sigma."""
    data = table([0] * 23, list(range(23)))
    examples = TASK.examples(data, TASK.split(data), CUT)
    drawn = [int(examples.batch(torch.tensor([0]), seed).negative_B) for seed in range(800)]
    counts = np.bincount(drawn, minlength=23)
    assert counts[:19].sum() == 0
    assert (abs(counts[19:] - 200) < 5 * np.sqrt(200 * 0.75)).all()


def test_a_user_who_has_everything_still_gets_a_negative():
    data = table([0, 0, 1], [0, 1, 1])
    split = TASK.split(data)
    split.marks[:] = 0
    drawn = TASK.examples(data, split, CUT).batch(torch.arange(3), 4).negative_B
    assert drawn is not None
    assert drawn[2] == 0
    assert set(drawn[:2].tolist()) <= {0, 1}


def test_fingerprints_are_the_same_in_every_view(data, split):
    whole = TASK.examples(data, split, CUT).fingerprints()
    view = TASK.examples(data.without(np.array([0])), split, CUT).fingerprints()
    assert whole[1:].tolist() == view.tolist()
    assert len(set(whole.tolist())) == 3


def test_aims_at_marked_items(data, split):
    marked = torch.zeros(6, dtype=torch.bool)
    marked[1] = True
    assert TASK.examples(data, split, CUT).aims_at(marked).tolist() == [False, True, False]
