import pytest
import torch
from pydantic import ValidationError

from erase_ray.evaluation import top
from erase_ray.models import MODELS
from tests.unit.models._baselines import fitted, histories, no_rows, pairs, rows_of, windows

ASKED = {
    "pop": pairs(0, 4),
    "pop_session": windows([2], [0, 0]),
    "pop_basket": histories([[0]], [[1, 2], [3]]),
}


@pytest.mark.parametrize("name", ASKED)
def test_scores_are_numbers_of_training_rows(name):
    rows = rows_of([0, 0, 1, 1, 3], [2, 1, 2, 4, 2])
    scores = fitted(name, rows, num_items=6).scores(ASKED[name])
    assert scores.tolist() == [[0, 1, 3, 0, 1, 0]] * 2


@pytest.mark.parametrize("name", ASKED)
def test_rows_count_and_not_people(name):
    scores = fitted(name, rows_of([0, 0, 0], [1, 1, 0]), num_items=2).scores(ASKED[name])
    assert scores.tolist() == [[1, 2]] * 2


@pytest.mark.parametrize("name", ASKED)
def test_without_rows_all_items_are_equal(name):
    assert fitted(name, no_rows(), num_items=3).scores(ASKED[name]).tolist() == [[0, 0, 0]] * 2


def test_large_counts_stay_apart():
    model = fitted("pop", no_rows(), num_items=3)
    model.count_I += torch.tensor([2**24, 2**24 + 1, 2**24])
    assert top(model.scores(pairs(0)), 3).tolist() == [[1, 0, 2]]


def test_histories_that_are_not_read_are_short():
    for name in ("pop_session", "pop_basket"):
        assert fitted(name, no_rows(), num_items=3).max_history == 1
    assert fitted("pop", no_rows(), num_items=3).max_history == 0


POPULAR = rows_of([0, 0, 0, 1, 1, 2, 3], [4, 1, 3, 4, 3, 4, 0])
"""Counts 1, 1, 0, 2, 3, 0."""


def test_personal_scores_worked_by_hand():
    model = fitted("top_personal", POPULAR, num_items=6)
    scores = model.scores(histories([[2, 5], [0, 2], [2]], [[1]]))
    share = torch.tensor([1, 1, 0, 2, 3, 0]) / torch.tensor(4.0).double()
    expected = torch.tensor([[1, 0, 3, 0, 0, 1], [0, 1, 0, 0, 0, 0]]) + share
    assert torch.equal(scores, expected)
    # 2 was bought most often; 0 is more popular than 5; the rest is filled up by popularity
    assert top(scores, 6).tolist() == [[2, 0, 5, 4, 3, 1], [1, 4, 3, 0, 2, 5]]


def test_without_backfill_only_the_history_is_recommended():
    model = fitted("top_personal", POPULAR, num_items=6, backfill=False)
    scores = model.scores(histories([[2, 5], [0, 2], [2]], [[1]]))
    assert top(scores, 4).tolist() == [[2, 0, 5, -1], [1, -1, -1, -1]]


def test_popularity_never_outweighs_a_basket_of_ones_own():
    crowd = [number for number in range(1000) for _ in range(2)]
    model = fitted("top_personal", rows_of(crowd, [0, 1] * 1000), num_items=4)
    long = [[2, 3]] * 300 + [[2]]
    scores = model.scores(histories(long, [[3]]))
    assert top(scores, 4).tolist() == [[2, 3, 0, 1], [3, 0, 1, 2]]


def test_personal_scores_without_training_rows():
    model = fitted("top_personal", no_rows(), num_items=3)
    assert model.scores(histories([[1], [1, 2]])).tolist() == [[0, 2, 1]]


def test_history_has_a_length():
    kind = MODELS.get("top_personal")
    assert fitted("top_personal", no_rows(), 3, max_history=7).max_history == 7
    with pytest.raises(ValidationError, match=r"max_history\n\s+Input should be greater than or"):
        kind.Settings(max_history=0)
