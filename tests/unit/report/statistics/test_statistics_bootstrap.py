import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statistics_data import crossed, table

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.bootstrap import closed_gap, means, paired_means
from erase_ray.report.statistics.clusters import gather
from erase_ray.report.statistics.resampling import resampled_means


def some_pairs(num_seeds: int = 3, num_users: int = 25, seed: int = 0) -> pd.DataFrame:
    """Pairs with several queries a user, of uneven number."""
    generator = np.random.default_rng(seed)
    shape = (num_seeds, num_users)
    a, b = crossed(generator, shape, 0.1, 0.2, 0.1), crossed(generator, shape, 0.1, 0.2, 0.1)
    rows = table(a=a, b=b)
    return rows.loc[rows.index.repeat(generator.integers(1, 4, len(rows)))].reset_index(drop=True)


def test_the_estimate_is_the_mean_over_queries_then_seeds():
    values = some_pairs()
    by_seed = values.groupby("seed")[["a", "b"]].mean()
    assert means(values, resamples=20).estimate == pytest.approx(by_seed["a"].mean(), abs=1e-15)
    expected = (by_seed["a"] - by_seed["b"]).mean()
    assert paired_means(values, resamples=20).estimate == pytest.approx(expected, abs=1e-15)


def test_sizes_are_told():
    result = paired_means(some_pairs(), resamples=50, level=0.9)
    assert (result.num_seeds, result.num_users, result.resamples) == (3, 25, 50)
    assert (result.level, result.reason) == (0.9, "")


def test_resampled_users_have_the_variance_of_a_mean():
    values = np.random.default_rng(0).normal(size=(1, 50))
    draws = resampled_means(gather(table(a=values), ["a"]), 20_000, seed=1)[:, 0]
    expected = values.var() / 50
    assert draws.var() == pytest.approx(expected, rel=5 * math.sqrt(2 / 20_000))
    assert draws.mean() == pytest.approx(values.mean(), abs=5 * math.sqrt(expected / 20_000))


def test_resampled_seeds_and_users_have_the_variance_of_the_pigeonhole():
    """Owen (2007): of the seeds' means, of the users' means, and of what is left, together."""
    values = crossed(np.random.default_rng(3), (5, 40), 1, 1, 1)
    draws = resampled_means(gather(table(a=values), ["a"]), 20_000, seed=1)[:, 0]
    seeds, users = values.mean(axis=1), values.mean(axis=0)
    rest = values - seeds[:, None] - users + values.mean()
    expected = seeds.var() / 5 + users.var() / 40 + rest.var() / values.size
    assert draws.var() == pytest.approx(expected, rel=5 * math.sqrt(2 / 20_000))


def test_one_seed_resamples_users_alone():
    values = np.random.default_rng(0).normal(size=(1, 400))
    result = means(table(a=values), resamples=4000)
    half = stats.t.ppf(0.975, 399) * stats.sem(values[0])
    assert result.num_seeds == 1
    assert result.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert result.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_seeds_that_differ_far_more_than_users_give_about_the_t_interval_over_seeds():
    values = crossed(np.random.default_rng(5), (5, 200), 1, 0.01, 0.01)
    result = means(table(a=values))
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values.mean(axis=1)))
    assert result.high - result.low == pytest.approx(high - low, rel=0.01)


def test_same_values_and_seed_give_the_same_interval_in_any_order():
    values = some_pairs()
    shuffled = values.sample(frac=1, random_state=3)
    assert paired_means(values) == paired_means(shuffled)
    assert paired_means(values, seed=1) != paired_means(values)


def test_the_first_resamples_do_not_depend_on_how_many_follow():
    clusters = gather(some_pairs(), ["a"])
    few, many = resampled_means(clusters, 20, 0), resampled_means(clusters, 50, 0)
    assert np.array_equal(few, many[:20])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    num_seeds=st.integers(1, 4),
    shift=st.floats(-100, 100),
    scale=st.floats(0.01, 100),
)
def test_differences_change_sign_move_and_stretch_as_they_should(seed, num_seeds, shift, scale):
    values = some_pairs(num_seeds, seed=seed)
    result = paired_means(values, resamples=100)
    swapped = paired_means(values.rename(columns={"a": "b", "b": "a"}), resamples=100)
    moved = paired_means(
        values.assign(a=scale * values.a + shift, b=scale * values.b), resamples=100
    )
    ends = np.array([result.low, result.estimate, result.high])
    near = {"rel": 1e-9, "abs": 1e-9 * (1 + abs(shift))}
    assert [-swapped.high, -swapped.estimate, -swapped.low] == pytest.approx(ends, **near)
    assert [moved.low, moved.estimate, moved.high] == pytest.approx(scale * ends + shift, **near)


def test_rows_without_a_number_are_left_out():
    values = some_pairs()
    holes = pd.concat([values, values.assign(a=np.nan), values.assign(b=np.nan)])
    assert paired_means(holes) == paired_means(values)


@pytest.mark.parametrize(
    ("rows", "reason", "has_estimate"),
    [
        (0, "no values", False),
        (1, "one user only", True),
    ],
)
def test_too_little_data_has_a_reason(rows, reason, has_estimate):
    result = paired_means(some_pairs().head(rows))
    assert result.reason == reason
    assert math.isfinite(result.estimate) == has_estimate
    assert math.isnan(result.low)
    assert result.resamples == 0


def test_infinite_values_have_a_reason():
    values = some_pairs()
    values.loc[3, ["a", "b"]] = np.inf
    result = paired_means(values)
    assert result.reason == "infinite values"
    assert math.isnan(result.estimate)


def test_users_who_are_all_alike_say_nothing_of_others_unless_bounds_do():
    values = table(a=np.full((2, 50), 0.5), b=np.full((2, 50), 0.5))
    silent = paired_means(values)
    assert silent.estimate == 0
    assert math.isnan(silent.high)
    assert silent.reason.startswith("all 50 users have the same value")
    bounded = paired_means(values, bounds=(0, 1))
    assert means(values, bounds=(0, 1)).high == pytest.approx(0.5 + 0.5 * bounded.high)
    assert bounded.high == pytest.approx(1 - 0.025 ** (1 / 50))
    assert bounded.low == -bounded.high


@pytest.mark.parametrize("resamples", [0, -5])
def test_resamples_are_counted_from_one(resamples):
    with pytest.raises(SettingsError, match=r"resamples is .*; a number from 1 is expected"):
        means(some_pairs(), resamples=resamples)


def gap_values(method: float, retrained: float, noise: float = 0.01) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return table(
        **{
            name: mean + generator.normal(0, noise, (3, 200))
            for name, mean in {"method": method, "original": 0.5, "retrained": retrained}.items()
        }
    )


def test_closed_gap_of_a_method_that_has_gone_three_quarters_of_the_way():
    result = closed_gap(gap_values(method=0.275, retrained=0.2))
    assert result.estimate == pytest.approx(0.75, abs=0.01)
    assert result.low < 0.75 < result.high
    assert result.high - result.low < 0.05


def test_closed_gap_of_the_two_ends():
    values = gap_values(method=0.3, retrained=0.2)
    retrained = closed_gap(values.assign(method=values["retrained"]), resamples=100)
    original = closed_gap(values.assign(method=values["original"]), resamples=100)
    assert retrained.estimate == pytest.approx(1)
    assert original.estimate == 0


def test_the_gap_has_the_standard_error_of_the_delta_method():
    generator = np.random.default_rng(2)
    method, original, retrained = (
        mean + generator.normal(0, 0.1, (1, 2000)) for mean in (0.4, 0.5, 0.2)
    )
    result = closed_gap(table(method=method, original=original, retrained=retrained))
    share = (original.mean() - method.mean()) / (original.mean() - retrained.mean())
    parts = ((original - method) - share * (original - retrained))[0]
    error = stats.sem(parts) / (original.mean() - retrained.mean())
    assert result.high - result.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_without_a_gap_there_is_nothing_to_close():
    result = closed_gap(gap_values(method=0.4, retrained=0.5))
    assert math.isnan(result.estimate)
    assert math.isnan(result.low)
    assert result.reason.startswith("no gap between original and retrained to close: it is ")
    assert (result.num_seeds, result.num_users) == (3, 200)


def test_a_gap_of_no_values_has_a_reason():
    reason = closed_gap(gap_values(0.3, 0.2).head(0)).reason
    assert reason == "no gap between original and retrained to close: no values"
