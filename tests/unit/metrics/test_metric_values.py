"""Metrics by hand, and against a slow twin."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erase_ray.data.csr import Csr
from erase_ray.metrics import METRICS, Answers

NAMES = ["hit", "mrr", "ndcg", "recall", "sensitive_share"]


def answers(ranked: list[list[int]], relevant: list[list[int]], marked: list[int], num_items=10):
    items = np.zeros(num_items, bool)
    items[marked] = True
    offsets = np.r_[0, np.cumsum([len(one) for one in relevant])]
    values = np.array([item for one in relevant for item in sorted(one)], np.int32)
    return Answers(np.array(ranked, np.int32), Csr(offsets, values), items)


def value(name: str, k: int, given: Answers) -> list[float]:
    found = METRICS.get(name)().per_query(given, k)
    assert found.dtype == np.float64
    return found.tolist()


FIVE = [[3, 1, 4, 0, 5]]


@pytest.mark.parametrize(
    ("name", "k", "relevant", "expected"),
    [
        # hits at ranks 2 and 4, three items relevant
        ("recall", 5, [1, 0, 9], 2 / 3),
        ("recall", 3, [1, 0, 9], 1 / 3),
        ("hit", 5, [1, 0, 9], 1.0),
        ("hit", 1, [1, 0, 9], 0.0),
        ("mrr", 5, [1, 0, 9], 1 / 2),
        ("mrr", 1, [1, 0, 9], 0.0),
        (
            "ndcg",
            5,
            [1, 0, 9],
            (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4)),
        ),
        # more relevant items than places: the best list has k hits
        ("ndcg", 2, [1, 0, 9], (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        ("ndcg", 1, [3], 1.0),
        ("recall", 2, [3, 1], 1.0),
        ("mrr", 5, [5], 1 / 5),
    ],
)
def test_values_by_hand(name, k, relevant, expected):
    assert value(name, k, answers(FIVE, [relevant], [])) == [pytest.approx(expected, rel=1e-15)]


@pytest.mark.parametrize(
    ("marked", "k", "expected"), [([4], 3, 1.0), ([4], 2, 0.0), ([9], 5, 0.0), ([3, 4], 1, 1.0)]
)
def test_sensitive_share_by_hand(marked, k, expected):
    assert value("sensitive_share", k, answers(FIVE, [[]], marked)) == [expected]


def test_empty_places_are_no_items():
    """-1 must not be taken for the last item, which is relevant and marked here."""
    given = answers([[-1, -1]], [[9]], [9])
    assert [value(name, 2, given) for name in NAMES] == [[0.0]] * 5


@pytest.mark.parametrize("name", ["hit", "mrr", "ndcg", "recall"])
def test_a_query_with_nothing_relevant_does_not_count(name):
    found = value(name, 2, answers([[0, 1], [2, 3]], [[], [2]], []))
    assert math.isnan(found[0])
    assert found[1] == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_no_queries_give_no_values(name):
    nothing = Answers(np.zeros((0, 4), np.int32), Csr.empty(0), np.zeros(3, bool))
    assert value(name, 2, nothing) == []


def test_only_exposure_is_asked_of_requesters_and_better_when_low():
    kinds = {name: METRICS.get(name) for name in NAMES}
    assert {name for name, kind in kinds.items() if kind.asks == "probe"} == {"sensitive_share"}
    assert {name for name, kind in kinds.items() if kind.better == "down"} == {"sensitive_share"}
    assert {kind.unit for kind in kinds.values()} == {"share"}


def slow(name: str, ranked: list[int], relevant: set[int], marked: set[int], k: int) -> float:
    first = ranked[:k]
    if name == "sensitive_share":
        return float(any(item in marked for item in first))
    if not relevant:
        return math.nan
    ranks = [place + 1 for place, item in enumerate(first) if item in relevant]
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    return {
        "hit": float(bool(ranks)),
        "mrr": 1 / ranks[0] if ranks else 0.0,
        "ndcg": sum(1 / math.log2(rank + 1) for rank in ranks) / best,
        "recall": len(ranks) / len(relevant),
    }[name]


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_values_are_those_of_a_slow_twin(seed, k):
    rng = np.random.default_rng(seed)
    ranked = [rng.permutation(12)[:8].tolist() for _ in range(6)]
    for row in ranked:
        there = rng.integers(0, 9)
        row[there:] = [-1] * (8 - there)
    relevant = [rng.permutation(12)[: rng.integers(0, 12)].tolist() for _ in range(6)]
    marked = np.flatnonzero(rng.random(12) < 0.2).tolist()
    given_answers = answers(ranked, relevant, marked, num_items=12)
    for name in NAMES:
        expected = [
            slow(name, row, set(right), set(marked), k)
            for row, right in zip(ranked, relevant, strict=True)
        ]
        np.testing.assert_allclose(value(name, k, given_answers), expected, rtol=1e-12)
