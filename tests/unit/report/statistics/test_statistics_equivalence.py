import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statistics_data import crossed, table
from statsmodels.stats.weightstats import ttost_paired

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.equivalence import tost, verdict


def pairs(
    difference: float, error: float = 0.001, num_seeds: int = 5, seed: int = 0
) -> pd.DataFrame:
    """Pairs whose mean difference is about ``difference`` with about this standard error."""
    generator = np.random.default_rng(seed)
    b = generator.random((num_seeds, 200))
    spread = error / math.sqrt(3)
    return table(a=b + difference + crossed(generator, b.shape, spread, spread, spread), b=b)


def test_a_small_and_certain_difference_is_equivalent():
    result = tost(pairs(0.001), margin=0.01)
    assert result.equivalent
    assert result.p_value < 0.05
    assert (result.difference.level, result.two_sided.level) == (0.9, 0.95)
    assert result.margin == 0.01


@pytest.mark.parametrize("difference", [-0.02, 0.02])
def test_a_difference_beyond_the_margin_is_not(difference):
    result = tost(pairs(difference), margin=0.01)
    assert not result.equivalent
    assert result.p_value > 0.95


def test_the_p_value_is_about_that_of_student_over_seeds_where_seeds_are_all_that_differs():
    values = table(
        a=crossed(np.random.default_rng(4), (8, 300), 1, 0.01, 0.01), b=np.zeros((8, 300))
    )
    by_seed = values.groupby("seed")[["a", "b"]].mean()
    for margin in (1.5, 2.0, 3.0):
        expected, _, _ = ttost_paired(by_seed["a"], by_seed["b"], -margin, margin)
        assert tost(values, margin).p_value == pytest.approx(expected, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    difference=st.floats(-0.02, 0.02),
    num_seeds=st.integers(1, 5),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
)
def test_p_value_and_interval_agree(seed, difference, num_seeds, alpha):
    values = pairs(difference, error=0.004, num_seeds=num_seeds, seed=seed)
    result = tost(values, margin=0.01, alpha=alpha, resamples=200)
    assert (result.p_value < alpha) == result.equivalent


def test_swapping_the_two_changes_no_p_value():
    values = pairs(0.004, error=0.003)
    swapped = values.rename(columns={"a": "b", "b": "a"})
    assert tost(values, 0.01).p_value == pytest.approx(tost(swapped, 0.01).p_value, abs=1e-9)


def test_at_the_edge_of_the_margin_equivalence_is_claimed_no_more_often_than_alpha():
    """Of 400 data sets whose true difference is the margin, binomial bounds (99.9 %) of 5 %."""
    generator, claims = np.random.default_rng(11), 0
    for _ in range(400):
        a = 1 + crossed(generator, (5, 60), 0.2, 0.2, 0)
        claims += tost(table(a=a, b=np.zeros_like(a)), margin=1.0, resamples=200).equivalent
    assert 0.02 * 400 < claims < 0.09 * 400


@pytest.mark.parametrize(
    ("difference", "better", "expected"),
    [
        (0.001, "up", "equivalent to retraining"),
        (0.03, "up", "better"),
        (0.03, "down", "worse"),
        (-0.03, "up", "worse"),
        (-0.03, "down", "better"),
    ],
)
def test_verdicts(difference, better, expected):
    assert verdict(tost(pairs(difference), margin=0.01), better) == expected


def test_an_uncertain_difference_is_unknown():
    assert verdict(tost(pairs(0.003, error=0.02), margin=0.01), "up") == "unknown"


def test_nothing_to_compare_is_unknown():
    empty = tost(pairs(0).head(0), margin=0.01)
    assert verdict(None, "up") == "unknown"
    assert verdict(empty, "up") == "unknown"
    assert math.isnan(empty.p_value)
    assert not empty.equivalent
    assert empty.difference.reason == "no values"


def test_one_seed_is_unknown_unless_it_is_to_count():
    result = tost(pairs(0.001, num_seeds=1), margin=0.01)
    assert result.equivalent
    assert result.difference.num_seeds == 1
    assert verdict(result, "up") == "unknown"
    assert verdict(result, "up", min_seeds=1) == "equivalent to retraining"


def test_no_difference_in_any_user_is_equivalent_only_within_what_so_many_users_can_show():
    same = table(a=np.zeros((2, 100)), b=np.zeros((2, 100)))
    assert verdict(tost(same, 0.05), "up") == "unknown"
    assert tost(same, 0.05, bounds=(0, 1)).equivalent
    assert not tost(same, 0.02, bounds=(0, 1)).equivalent
    assert tost(same, 0.05, bounds=(0, 1)).p_value == pytest.approx(0.95**100, rel=1e-6)


def test_a_difference_that_is_certain_but_does_not_matter_is_equivalent():
    result = tost(pairs(0.005, error=0.0005), margin=0.01)
    assert result.two_sided.excludes(0)
    assert verdict(result, "up") == "equivalent to retraining"
    assert verdict(replace(result, equivalent=False), "up") == "better"


@pytest.mark.parametrize("margin", [0, -0.1, math.nan, math.inf])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(SettingsError, match=r"margin is .*; a number above 0 is expected"):
        tost(pairs(0), margin)


@pytest.mark.parametrize("alpha", [0, 0.5, 5])
def test_alpha_is_a_small_share(alpha):
    with pytest.raises(SettingsError, match=r"alpha is .*; a number between 0 and 0.5 is expected"):
        tost(pairs(0), 0.1, alpha=alpha)
