import math

import numpy as np
import pytest
from scipy import stats
from statistics_data import crossed, table

from erase_ray.report.statistics.clusters import Clusters, gather
from erase_ray.report.statistics.variance import spread

MEAN = np.ones(1)


def clusters(values_SU: np.ndarray) -> Clusters:
    return gather(table(a=values_SU), ["a"])


def test_one_seed_gives_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=(1, 40))
    result = spread(clusters(values), MEAN)
    assert result.error == pytest.approx(stats.sem(values[0]))
    assert result.freedom == pytest.approx(39)


def test_users_of_one_seed_each_leave_the_standard_error_over_seeds():
    values = np.random.default_rng(0).normal(size=(4, 30))
    rows = table(a=values).assign(user=np.arange(values.size))
    result = spread(gather(rows, ["a"]), MEAN)
    assert result.error == pytest.approx(stats.sem(values.mean(axis=1)))
    assert result.freedom == pytest.approx(3)


def test_crossed_seeds_and_users_give_the_mean_squares_of_the_analysis_of_variance():
    values = crossed(np.random.default_rng(1), (5, 60), 1, 2, 0.3)
    num_seeds, num_users = values.shape
    rows, columns, grand = values.mean(axis=1), values.mean(axis=0), values.mean()
    seeds_square = num_users * rows.var(ddof=1)
    users_square = num_seeds * columns.var(ddof=1)
    rest = values - rows[:, None] - columns + grand
    rest_square = (rest**2).sum() / ((num_seeds - 1) * (num_users - 1))
    expected = (seeds_square + users_square - rest_square) / values.size
    assert spread(clusters(values), MEAN).error ** 2 == pytest.approx(expected, rel=1e-9)


def test_a_negative_covariance_of_seeds_counts_as_none():
    values = np.array([[1.0, -1.0, 3.0], [0.0, 2.0, -2.5]])
    result = spread(clusters(values), MEAN)
    assert result.error == pytest.approx(stats.sem(values.mean(axis=1)))


def test_queries_of_a_user_are_one_observation():
    values = np.random.default_rng(0).normal(size=(1, 40))
    once = table(a=values)
    twice = once.loc[once.index.repeat(2)]
    assert spread(gather(twice, ["a"]), MEAN).error == pytest.approx(stats.sem(values[0]))


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.7])
def test_no_variation_is_exactly_none(value):
    result = spread(clusters(np.full((3, 7), value)), MEAN)
    assert result.error == 0
    assert math.isinf(result.freedom)


def test_a_distance_is_students_t():
    result = spread(clusters(np.random.default_rng(0).normal(size=(1, 40))), MEAN)
    assert result.distance(0.975) == pytest.approx(stats.t.ppf(0.975, 39) * result.error)
    assert result.distance(0.025) == pytest.approx(-result.distance(0.975))


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_no_distance_is_below_that_of_the_seeds_alone(num_seeds):
    values = crossed(np.random.default_rng(1), (num_seeds, 60), 1, 1, 0)
    result = spread(clusters(values), MEAN)
    alone = stats.t.ppf(0.975, num_seeds - 1) * stats.sem(values.mean(axis=1))
    both = stats.t.ppf(0.975, result.freedom) * result.error
    assert result.distance(0.975) == pytest.approx(max(alone, both))
