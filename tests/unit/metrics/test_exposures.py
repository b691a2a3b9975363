"""Ranks and probabilities by hand, and against a slow twin."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.metrics import _exposure, exposures

MASKED = -math.inf


def marked(items: list[int], num_items: int) -> np.ndarray:
    items_I = np.zeros(num_items, bool)
    items_I[items] = True
    return items_I


def test_ranks_and_probabilities_by_hand():
    scores = torch.tensor([[math.log(1), math.log(2), math.log(5)]])
    rank, mass = exposures(scores, marked([0, 2], 3))[:, 0]
    assert rank == 2.0  # ranks 3 and 1
    assert mass == pytest.approx(6 / 8, rel=1e-6)


def test_of_equal_scores_the_lower_id_is_better():
    scores = torch.tensor([[0.0, 1.0, 1.0, -0.0, 1.0]])
    ranks = [exposures(scores, marked([item], 5))[0, 0] for item in range(5)]
    assert ranks == [4, 1, 2, 5, 3]


def test_masked_items_have_no_probability_and_come_behind_all_that_is_ranked():
    scores = torch.tensor([[0.0, MASKED, 0.0, MASKED]])
    assert exposures(scores, marked([1], 4))[:, 0].tolist() == [3, 0]
    assert exposures(scores, marked([1, 3], 4))[:, 0].tolist() == [3, 0]
    assert exposures(scores, marked([1, 2], 4))[:, 0].tolist() == [2.5, 0.5]


def test_all_items_have_all_the_probability():
    scores = torch.randn(50, 333, generator=torch.Generator().manual_seed(0)) * 10
    assert set(exposures(scores, np.ones(333, bool))[1]) == {1.0}


def test_scores_may_be_huge():
    scores = torch.tensor([[3e38, -3e38, 0.0], [math.inf, math.inf, 0.0]])
    assert exposures(scores, marked([0], 3)).tolist() == [[1, 1], [1, 0.5]]


@pytest.mark.parametrize(
    ("scores", "items"), [(torch.zeros(2, 3), []), (torch.full((2, 3), MASKED), [1])]
)
def test_nothing_to_expose_or_to_rank_is_nan(scores, items):
    assert np.isnan(exposures(scores, marked(items, 3))).all()


def test_no_queries_have_no_exposure():
    assert exposures(torch.zeros(0, 3), marked([1], 3)).shape == (2, 0)


def test_scores_in_double_precision_are_told_apart():
    """Both would be 1 in single precision, and the lower id better."""
    scores = torch.tensor([[1.0, 1.0 + 1e-12]], dtype=torch.float64)
    assert exposures(scores, marked([1], 2))[0, 0] == 1
    assert exposures(scores.float(), marked([1], 2))[0, 0] == 2


def slow(scores: list[float], chosen: list[int]) -> tuple[float, float]:
    ranked = [item for item, score in enumerate(scores) if score > MASKED]
    order = sorted(ranked, key=lambda item: (-scores[item], item))
    if not chosen or not order:
        return math.nan, math.nan
    places = {item: place + 1 for place, item in enumerate(order)}
    ranks = [places.get(item, len(order) + 1) for item in chosen]
    total = math.fsum(math.exp(scores[item]) for item in order)
    mass = math.fsum(math.exp(scores[item]) for item in chosen if item in places) / total
    return sum(ranks) / len(ranks), mass


@given(st.integers(0, 2**32 - 1), st.sampled_from([torch.float32, torch.float64]))
def test_exposures_are_those_of_a_slow_twin_whatever_the_block(seed, dtype):
    rng = np.random.default_rng(seed)
    num_queries, num_items = rng.integers(1, 9), rng.integers(1, 30)
    levels = np.append(rng.normal(size=rng.integers(1, 20)), MASKED)
    scores = torch.from_numpy(rng.choice(levels, (num_queries, num_items))).to(dtype)
    items_I = rng.random(num_items) < rng.random()
    found = exposures(scores, items_I)
    expected = [slow(row, np.flatnonzero(items_I).tolist()) for row in scores.tolist()]
    np.testing.assert_allclose(found.T, expected, rtol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_exposure, "BLOCK_BYTES", 8 * int(num_items))
        np.testing.assert_array_equal(exposures(scores, items_I), found)
    one_by_one = [exposures(scores[q : q + 1], items_I) for q in range(num_queries)]
    np.testing.assert_array_equal(np.concatenate(one_by_one, axis=1), found)
