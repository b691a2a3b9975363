import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statistics_data import DEMSAR

from erase_ray.report.statistics.wilcoxon import holm, pairwise_wilcoxon, signed_rank


def test_holm_by_hand():
    """0.01·4, then 0.02·3 (up to 0.06), then 0.03·2 = 0.06, then 0.5·1."""
    assert holm(np.array([0.5, 0.02, 0.01, 0.03])) == pytest.approx([0.5, 0.06, 0.04, 0.06])


def test_holm_leaves_missing_values_out_of_the_count():
    assert holm(np.array([0.01, math.nan, 0.04])) == pytest.approx(
        [0.02, math.nan, 0.04], nan_ok=True
    )
    assert np.isnan(holm(np.array([math.nan]))).all()


@pytest.mark.parametrize("size", [1, 4, 9, 30, 60])
def test_without_zeros_and_ties_it_is_the_exact_test_of_scipy(size):
    difference = np.random.default_rng(size).normal(0.3, 1, size)
    expected = stats.wilcoxon(difference, method="exact").pvalue
    assert signed_rank(difference) == pytest.approx(expected)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=2, max_size=7).filter(any))
def test_with_zeros_and_ties_it_is_the_permutation_test_of_scipy(difference):
    every_sign = stats.PermutationMethod(n_resamples=2**8)
    expected = stats.wilcoxon(difference, zero_method="pratt", method=every_sign).pvalue
    assert signed_rank(np.array(difference)) == pytest.approx(expected)


def test_with_many_blocks_it_is_near_the_normal_approximation():
    difference = np.round(np.random.default_rng(0).normal(0.05, 1, 150), 1)
    expected = stats.wilcoxon(
        difference, zero_method="pratt", method="asymptotic", correction=True
    ).pvalue
    assert signed_rank(difference) == pytest.approx(expected, rel=0.01)


def test_critical_value_of_14_pairs():
    """Tables give 21 as the largest sum of ranks that is significant at 0.05 for n = 14."""
    ranks = np.arange(1, 15.0)
    for smaller, is_significant in [((6, 7, 8), True), ((6, 7, 9), False)]:
        difference = np.where(np.isin(ranks, smaller), -ranks, ranks)
        assert (signed_rank(difference) <= 0.05) == is_significant


def test_zeros_alone_are_no_evidence():
    assert signed_rank(np.zeros(5)) == 1
    assert math.isnan(signed_rank(np.array([])))


def test_every_pair_of_the_worked_example():
    result = pairwise_wilcoxon(DEMSAR, "up")
    assert list(result.columns) == [
        "method_a", "method_b", "difference", "p_value", "p_holm", "significant",
    ]  # fmt: skip
    assert len(result) == 6
    pair = result.set_index(["method_a", "method_b"]).loc[("C4.5+m", "C4.5")]
    assert pair["difference"] == pytest.approx((DEMSAR["C4.5+m"] - DEMSAR["C4.5"]).mean())
    differences = (DEMSAR["C4.5+m"] - DEMSAR["C4.5"]).round(12).to_numpy()
    assert pair["p_value"] == pytest.approx(signed_rank(differences))
    assert result["p_holm"].to_numpy() == pytest.approx(holm(result["p_value"].to_numpy()))
    assert result.loc[result["significant"], "p_holm"].max() <= 0.05
    assert result.loc[~result["significant"], "p_holm"].min() > 0.05


@pytest.mark.parametrize(("better", "first"), [("up", "b"), ("down", "a")])
def test_the_better_method_comes_first_and_the_difference_keeps_its_sign(better, first):
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 3.0, 4.5]})
    row = pairwise_wilcoxon(scores, better).iloc[0]
    assert row["method_a"] == first
    assert row["difference"] == pytest.approx(3.5 / 3 if first == "b" else -3.5 / 3)


def test_differences_that_only_rounding_tells_apart_are_ties():
    """Ranks 2, 2, 2, 4 with one 2 below: sums of at most 2 come in 4 of 16 ways, on two sides."""
    scores = pd.DataFrame({"a": [0.3, 0.1, 0.4, 0.9], "b": [0.2, 0.2, 0.3, 0.3]})
    assert pairwise_wilcoxon(scores, "up")["p_value"].tolist() == [0.5]


def test_blocks_that_lack_a_method_are_dropped_by_name():
    scores = DEMSAR.copy()
    scores.loc["iris", "C4.5+m"] = np.nan
    result = pairwise_wilcoxon(scores, "up")
    assert result.attrs == {"num_blocks": 13, "dropped": ["iris"], "reason": ""}
    pd.testing.assert_frame_equal(
        result, pairwise_wilcoxon(DEMSAR.drop("iris"), "up"), check_flags=False
    )


def test_no_block_with_all_methods_gives_no_p_values():
    result = pairwise_wilcoxon(DEMSAR.assign(gif=np.nan), "up")
    assert result["p_value"].isna().all()
    assert result["p_holm"].isna().all()
    assert not result["significant"].any()
    assert (
        result.attrs["reason"] == "0 of 14 blocks have all methods, 1 are needed; no block has gif"
    )


def test_one_method_has_no_pairs():
    assert pairwise_wilcoxon(DEMSAR[["C4.5"]], "up").empty
