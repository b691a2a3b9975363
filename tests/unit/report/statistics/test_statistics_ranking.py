import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statistics_data import DEMSAR

from erase_ray.report.statistics.ranking import Friedman, critical_difference, friedman


def test_mean_ranks_of_the_worked_example():
    ranks = friedman(DEMSAR, "up").mean_ranks
    assert ranks.round(3).to_dict() == {
        "C4.5+m+cf": 1.964,
        "C4.5+m": 2.0,
        "C4.5+cf": 2.893,
        "C4.5": 3.143,
    }
    assert list(ranks.index) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]


def test_friedman_of_the_worked_example():
    """The paper's 9.28 is without the correction for ties, which divides by 1 − Σ(t³−t)/N(k³−k)."""
    ties = 1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * (4**3 - 4))
    assert friedman(DEMSAR, "up").statistic * ties == pytest.approx(9.28, abs=0.005)


def test_friedman_is_that_of_scipy():
    scores = pd.DataFrame(np.random.default_rng(0).integers(0, 6, (12, 5)))
    expected = stats.friedmanchisquare(*scores.to_numpy().T)
    result = friedman(scores, "down")
    assert result.statistic == pytest.approx(expected.statistic)
    assert result.p_value == pytest.approx(expected.pvalue)


def test_iman_davenport_of_the_worked_example():
    result = Friedman(9.28, 0.026, friedman(DEMSAR, "up").mean_ranks, 14, [])
    ratio, p_value = result.iman_davenport
    assert ratio == pytest.approx(3.69, abs=0.005)
    assert p_value == pytest.approx(stats.f.sf(3.69, 3, 39), abs=1e-3)


def test_iman_davenport_of_full_agreement_and_of_nothing():
    agreed = pd.DataFrame([[1, 2, 3]] * 4)
    assert friedman(agreed, "down").iman_davenport == (math.inf, 0.0)
    assert all(map(math.isnan, friedman(agreed.head(1), "down").iman_davenport))


@pytest.mark.parametrize(("alpha", "distance"), [(0.05, 1.25), (0.10, 1.12)])
def test_critical_difference_of_the_worked_example(alpha, distance):
    result = critical_difference(DEMSAR, "up", alpha=alpha)
    assert result.distance == pytest.approx(distance, abs=0.005)


@pytest.mark.parametrize(
    ("num_methods", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)]
)
def test_critical_values_of_nemenyi(num_methods, quantile):
    """Table 5a of Demšar (2006), whose third decimal is cut and not rounded."""
    scores = pd.DataFrame(np.random.default_rng(0).random((20, num_methods)))
    unit = math.sqrt(num_methods * (num_methods + 1) / (6 * 20))
    assert critical_difference(scores, "up").distance / unit == pytest.approx(quantile, abs=1e-3)


def test_groups_of_the_worked_example():
    """At 0.10 the paper finds C4.5 worse than C4.5+m and C4.5+m+cf, and nothing else."""
    assert critical_difference(DEMSAR, "up", alpha=0.10).groups == [
        ["C4.5+m+cf", "C4.5+m", "C4.5+cf"],
        ["C4.5+cf", "C4.5"],
    ]


def test_all_are_one_group_if_friedman_finds_nothing():
    """Here the best and the worst mean rank lie further apart than the critical difference."""
    scores = np.random.default_rng(1).random((10, 6)) + 0.02 * np.arange(6)
    result = critical_difference(pd.DataFrame(scores, columns=list("abcdef")), "up")
    assert result.mean_ranks.max() - result.mean_ranks.min() > result.distance
    assert result.friedman.p_value > 0.05
    assert [sorted(group) for group in result.groups] == [list("abcdef")]


def test_methods_that_differ_from_all_are_in_no_group():
    scores = pd.DataFrame([[1, 2, 3]] * 30, columns=list("abc")).astype(float)
    assert critical_difference(scores, "down").groups == []


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), num_methods=st.integers(3, 8))
def test_a_group_is_what_spans_less_than_the_distance(seed, num_methods):
    generator = np.random.default_rng(seed)
    scores = pd.DataFrame(generator.random((15, num_methods)) + 0.2 * np.arange(num_methods))
    result = critical_difference(scores, "up")
    if result.friedman.p_value > 0.05:
        return
    for a in scores:
        for b in scores:
            far = abs(result.mean_ranks[a] - result.mean_ranks[b]) >= result.distance
            together = any(a in group and b in group for group in result.groups)
            assert a == b or far != together
    assert not any(set(one) < set(other) for one in result.groups for other in result.groups)


def test_the_direction_turns_the_ranks_round():
    up, down = friedman(DEMSAR, "up").mean_ranks, friedman(DEMSAR, "down").mean_ranks
    assert (up + down).to_numpy() == pytest.approx(np.full(4, 5.0))


def test_blocks_that_lack_a_method_are_dropped_by_name_and_never_filled():
    scores = DEMSAR.copy()
    scores.loc["iris", "C4.5+m"] = np.nan
    scores.loc["wine"] = np.nan
    scores.loc["cmc", "C4.5"] = np.inf
    result = friedman(scores, "up")
    assert result.dropped == ["cmc", "iris", "wine"]
    assert result.num_blocks == 11
    whole = friedman(DEMSAR.drop(["cmc", "iris", "wine"]), "up")
    assert result.mean_ranks.equals(whole.mean_ranks)


def test_blocks_of_several_names():
    scores = DEMSAR.head(3).set_axis(
        pd.MultiIndex.from_tuples(
            [("movielens", "bpr"), ("movielens", "sgl"), ("tafeng", "dnntsp")]
        )
    )
    scores.iloc[1, 0] = np.nan
    assert friedman(scores, "up").dropped == ["movielens / sgl"]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (DEMSAR.head(1), "1 of 1 blocks have all methods, 2 are needed"),
        (DEMSAR.head(0), "0 of 0 blocks have all methods, 2 are needed"),
        (
            DEMSAR.assign(gif=np.nan),
            "0 of 14 blocks have all methods, 2 are needed; no block has gif",
        ),
        (DEMSAR.iloc[:, :2], "2 methods; Friedman's test compares three or more"),
    ],
)
def test_too_little_to_test_says_why(scores, reason):
    result = critical_difference(scores, "up")
    assert result.friedman.reason == reason
    assert math.isnan(result.friedman.p_value)
    assert math.isnan(result.friedman.statistic)


def test_nothing_is_claimed_of_one_block():
    assert critical_difference(DEMSAR.head(1), "up").groups == [
        ["C4.5+m+cf", "C4.5+cf", "C4.5+m", "C4.5"]
    ]


def test_no_block_has_no_groups():
    result = critical_difference(DEMSAR.head(0), "up")
    assert result.groups == []
    assert math.isnan(result.distance)


def test_scores_that_are_all_alike():
    result = friedman(pd.DataFrame(np.ones((5, 3))), "up")
    assert (result.statistic, result.p_value) == (0, 1)
