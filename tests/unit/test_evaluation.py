"""Ranking against a slow twin, and means by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from erase_ray.data.csr import Csr
from erase_ray.errors import TrainingError
from erase_ray.evaluation import Measured, measure, rank, rank_all, top
from erase_ray.metrics import Answers, Metric
from erase_ray.models import Model, Shape
from erase_ray.tasks import Queries
from erase_ray.tasks._negatives import Taken
from erase_ray.tasks.cf import PairExamples


class Fixed(Model):
    """A model whose scores are a table."""

    name = "fixed"
    task = "cf"

    def __init__(self, scores_UI: Tensor) -> None:
        super().__init__(None, Shape(*scores_UI.shape))
        self.scores_UI = nn.Parameter(scores_UI.clone())
        self.inner = nn.Dropout(0.5)

    def reset(self, generator: torch.Generator) -> None:
        raise AssertionError

    def loss(self, batch) -> Tensor:
        raise AssertionError

    def scores(self, batch) -> Tensor:
        assert not self.inner.training
        return self.scores_UI[batch.user_B[0] : batch.user_B[-1] + 1]

    def head_parameters(self) -> dict[str, nn.Parameter]:
        return {}


def queries(num_users: int, num_items: int, masked: list[list[int]] | None = None) -> Queries:
    nothing = torch.zeros(0, dtype=torch.int64)
    users = torch.arange(num_users)
    lists = masked or [[]] * num_users
    sizes = [len(items) for items in lists]
    csr = Csr(np.r_[0, np.cumsum(sizes)], np.array([i for one in lists for i in one], np.int32))
    inputs = PairExamples(users, users, None, Taken(nothing, num_items))
    return Queries(inputs, Csr.empty(num_users), csr)


def slow_rank(scores: list[float], masked: list[int], k: int) -> list[int]:
    items = [item for item in range(len(scores)) if item not in masked]
    best = sorted(items, key=lambda item: (-scores[item], item))[:k]
    return best + [-1] * (k - len(best))


def test_best_first_and_masked_items_left_out():
    model = Fixed(torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]]))
    ranked = rank(model, queries(2, 4, [[1], []]), 2)
    assert ranked.tolist() == [[3, 2], [0, 1]]
    assert ranked.dtype == np.int32


def test_equal_scores_are_in_the_order_of_ids():
    model = Fixed(torch.tensor([[1.0, 2.0, 1.0, 2.0, 1.0], [0.0] * 5]))
    assert rank(model, queries(2, 5), 3).tolist() == [[1, 3, 0], [0, 1, 2]]


def test_lists_are_filled_up_where_too_few_can_be_ranked():
    model = Fixed(torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, -math.inf], [1.0, 1.0, 1.0]]))
    ranked = rank(model, queries(3, 3, [[0], [], [0, 1, 2]]), 5)
    assert ranked.tolist() == [[1, 2, -1, -1, -1], [1, 0, -1, -1, -1], [-1] * 5]


def test_no_queries_give_no_lists():
    assert rank(Fixed(torch.zeros(0, 3)), queries(0, 3), 4).shape == (0, 4)


@given(st.data())
def test_ranking_is_that_of_a_slow_twin_whatever_the_block_size(data):
    num_users = data.draw(st.integers(1, 7))
    num_items = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, 14))
    levels = data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    scores = rng.integers(0, levels, (num_users, num_items)).astype(np.float32)
    masked = [np.flatnonzero(rng.random(num_items) < 0.3).tolist() for _ in range(num_users)]
    expected = [slow_rank(scores[user].tolist(), masked[user], k) for user in range(num_users)]
    model = Fixed(torch.from_numpy(scores))
    for block_size in (1, 2, 3, 512):
        ranked = rank(model, queries(num_users, num_items, masked), k, block_size)
        assert ranked.tolist() == expected


def test_ties_over_a_large_catalogue():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 50, (40, 5000), generator=generator).float()
    full = scores.sort(dim=1, descending=True, stable=True).indices[:, :20]
    assert torch.equal(top(scores, 20), full)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_of_any_sign_and_of_both_zeros(dtype):
    draw = torch.Generator().manual_seed(1)
    levels = torch.tensor([-2.5, -1.0, -0.0, 0.0, 1e-40, 3.0, math.inf, -math.inf], dtype=dtype)
    scores = levels[torch.randint(0, len(levels), (60, 40), generator=draw)]
    expected = [
        slow_rank(row, [i for i, s in enumerate(row) if s == -math.inf], 30)
        for row in scores.tolist()
    ]
    assert top(scores, 30).tolist() == expected


def test_scores_that_the_model_keeps_are_not_touched():
    model = Fixed(torch.ones(2, 3))
    rank(model, queries(2, 3, [[0], [1]]), 2)
    assert torch.equal(model.scores_UI, torch.ones(2, 3))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_in_its_mode_again(training):
    model = Fixed(torch.ones(1, 2))
    model.train()
    model.inner.train(training)
    rank(model, queries(1, 2), 1)
    assert model.training
    assert model.inner.training is training


def test_the_mode_comes_back_after_an_error_too():
    model = Fixed(torch.full((1, 2), math.nan))
    with pytest.raises(TrainingError):
        rank(model, queries(1, 2), 1)
    assert model.training


def test_nan_names_the_model_and_the_query():
    scores = torch.zeros(5, 3)
    scores[3, 1] = math.nan
    text = (
        r"^model 'fixed' gave scores that are not numbers \(NaN\), first for query 3; "
        r"its weights are not usable$"
    )
    with pytest.raises(TrainingError, match=text):
        rank(Fixed(scores), queries(5, 3), 1, block_size=2)


def test_exposure_is_that_of_the_whole_ranking_without_what_is_masked():
    model = Fixed(torch.tensor([[0.0, 2.0, 1.0, 3.0], [0.0, 0.0, 0.0, 0.0]]))
    sets = [np.array(items, bool) for items in ([1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0])]
    ranked, exposures = rank_all(model, queries(2, 4, [[3], []]), 2, sets)
    assert ranked.tolist() == [[1, 2], [0, 1]]
    # item 0 is third, the masked one behind it; with equal scores the ids are the ranks
    assert exposures[0].rank_Q.tolist() == [3.5, 2.5]
    assert exposures[1].rank_Q.tolist() == [1.0, 2.0]
    total = 1 + math.exp(2) + math.exp(1)
    assert exposures[0].mass_Q.tolist() == pytest.approx([1 / total, 0.5], rel=1e-6)
    assert exposures[1].mass_Q.tolist() == pytest.approx([math.exp(2) / total, 0.25], rel=1e-6)
    assert np.isnan(exposures[2].rank_Q).all()


@given(st.integers(0, 2**32 - 1))
def test_exposure_does_not_depend_on_the_block_size(seed):
    rng = np.random.default_rng(seed)
    model = Fixed(torch.from_numpy(rng.normal(size=(7, 11)).astype(np.float32)))
    masked = [np.flatnonzero(rng.random(11) < 0.3).tolist() for _ in range(7)]
    items_I = rng.random(11) < 0.5
    asked = queries(7, 11, masked)
    expected, exposure = rank_all(model, asked, 5, [items_I])
    assert rank(model, asked, 5).tolist() == expected.tolist()
    for block_size in (1, 2, 3):
        _, (found,) = rank_all(model, asked, 5, [items_I], block_size)
        np.testing.assert_array_equal(found.rank_Q, exposure[0].rank_Q)
        np.testing.assert_array_equal(found.mass_Q, exposure[0].mass_Q)


class Given(Metric):
    """Answers with the numbers that it is given."""

    name = "given"
    unit = "pieces"
    better = "down"

    def __init__(self, values: list[float]) -> None:
        self.values = np.array(values, np.float64)

    def per_query(self, answers: Answers, k: int) -> np.ndarray:
        return self.values * k


ANSWERS = Answers(np.zeros((3, 2), np.int32), Csr.empty(3), np.zeros(1, bool))


def test_measure_is_the_mean_of_what_counts():
    found = measure(ANSWERS, [Given([1.0, math.nan, 2.0])], [1, 2])
    assert found == [
        Measured("given", 1, 1.5, "pieces", "down", 2),
        Measured("given", 2, 3.0, "pieces", "down", 2),
    ]


def test_measure_has_no_value_where_nothing_counts():
    (found,) = measure(ANSWERS, [Given([math.nan] * 3)], [1])
    assert math.isnan(found.value)
    assert found.n == 0


def test_the_mean_does_not_depend_on_the_order():
    values = [1e16, 1.0, -1e16, 3.0]
    four = Answers(np.zeros((4, 2), np.int32), Csr.empty(4), np.zeros(1, bool))
    means = {measure(four, [Given(list(v))], [1])[0].value for v in (values, values[::-1])}
    assert means == {1.0}
