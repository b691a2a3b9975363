"""Metrics of exposure, and coverage, by hand."""

import math

import numpy as np
import pytest

from erase_ray.data.csr import Csr
from erase_ray.evaluation import measure
from erase_ray.metrics import METRICS, Answers, Exposure

RANKED = np.array([[3, 1, 4, 0], [0, 1, 2, -1], [5, 6, -1, -1]], np.int32)


def answers(marked: list[int], exposure: Exposure | None = None, num_items: int = 10) -> Answers:
    items_I = np.zeros(num_items, bool)
    items_I[marked] = True
    return Answers(RANKED, Csr.empty(3), items_I, exposure)


def value(name: str, k: int, given: Answers) -> list[float]:
    found = METRICS.get(name)().per_query(given, k)
    assert found.dtype == np.float64
    return found.tolist()


@pytest.mark.parametrize(("k", "expected"), [(1, [1, 1, 0]), (3, [2, 1, 0]), (4, [3, 1, 0])])
def test_sensitive_count_by_hand(k, expected):
    assert value("sensitive_count", k, answers([0, 3, 4, 9])) == expected


def test_sensitive_by_chance_is_hypergeometric():
    """Of 10 items 3 are sensitive: none of two drawn ones is with 7/10 * 6/9."""
    assert value("sensitive_by_chance", 2, answers([1, 2, 3])) == [pytest.approx(1 - 42 / 90)] * 3
    assert value("sensitive_by_chance", 4, answers([])) == [0.0] * 3
    assert value("sensitive_by_chance", 4, answers(list(range(8)))) == [1.0] * 3


def test_lists_longer_than_the_catalogue_hold_all_of_it():
    assert value("sensitive_by_chance", 20, answers([1])) == [1.0] * 3


def test_sensitive_by_chance_is_what_drawn_lists_give():
    rng = np.random.default_rng(0)
    ranked = np.array([rng.permutation(30)[:5] for _ in range(4000)], np.int32)
    items_I = np.arange(30) < 4
    drawn = Answers(ranked, Csr.empty(4000), items_I)
    kinds = [METRICS.get(name)() for name in ("sensitive_share", "sensitive_by_chance")]
    share, chance = (found.value for found in measure(drawn, kinds, [5]))
    assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / 4000)


def test_exposure_is_what_was_asked_for():
    given = answers([1], Exposure(*np.array([[2, 4, math.nan], [0.5, 0.25, math.nan]], np.float32)))
    rank, mass = measure(given, [METRICS.get(f"exposure_{n}")() for n in ("rank", "mass")], [2, 4])
    assert (rank.metric, rank.k, rank.value, rank.unit, rank.better, rank.n) == (
        "exposure_rank", 0, 3.0, "rank", "up", 2,
    )  # fmt: skip
    assert (mass.metric, mass.k, mass.value, mass.unit, mass.better, mass.n) == (
        "exposure_mass", 0, 0.375, "share", "down", 2,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["exposure_rank", "exposure_mass"])
def test_exposure_that_nobody_asked_for_does_not_count(name):
    (found,) = measure(answers([1]), [METRICS.get(name)()], [2])
    assert math.isnan(found.value)
    assert found.n == 0


def test_coverage_by_hand():
    """3, 0 and 5 at rank 1; 3, 1, 4, 0, 2, 5 and 6 in all. -1 is not the last item, 9."""
    found = measure(answers([], num_items=10), [METRICS.get("coverage")()], [1, 4])
    assert [(one.value, one.n) for one in found] == [(0.3, 3), (0.7, 3)]


def test_precision_by_hand():
    relevant = Csr(np.array([0, 2, 2, 3]), np.array([0, 3, 9], np.int32))
    given = Answers(RANKED, relevant, np.zeros(10, bool))
    found = value("precision", 4, given)
    assert [found[0], found[2]] == [0.5, 0.0]
    assert math.isnan(found[1])
