import math

import numpy as np
import pytest
from scipy import stats

from erase_ray.errors import SettingsError
from erase_ray.report.statistics.confidence import Confidence
from erase_ray.report.statistics.variance import Spread

NORMAL = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)


def confidence(error: float, freedom: float = 4, draws: np.ndarray = NORMAL, **more) -> Confidence:
    return Confidence(0.0, draws, Spread(error, freedom), num_users=100, num_seeds=5, **more)


def test_few_seeds_move_the_ends_to_those_of_student():
    result = confidence(error=1.0).interval(0.95)
    assert result.high == pytest.approx(stats.t.ppf(0.975, 4), rel=1e-3)
    assert result.low == pytest.approx(-result.high)


def test_percentiles_that_are_wider_than_student_stay():
    result = confidence(error=0.5).interval(0.95)
    expected = tuple(np.quantile(NORMAL, [0.025, 0.975]))
    assert (result.low, result.high) == pytest.approx(expected, rel=1e-12)


def test_the_shape_of_the_bootstrap_stays():
    skewed = np.sort(np.exp(NORMAL) - np.exp(0.5))
    low, high = np.quantile(skewed, [0.025, 0.975])
    result = confidence(error=4.0, draws=skewed).interval(0.95)
    assert result.high / result.low == pytest.approx(high / low)
    assert result.high - result.low == pytest.approx(2 * 4 * stats.t.ppf(0.975, 4))


@pytest.mark.parametrize("error", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.004, 0.05, 0.3, 0.6, 0.975])
def test_share_below_undoes_quantile(error, share):
    result = confidence(error, freedom=4.7)
    assert result.share_below(result.quantile(share)) == pytest.approx(share, abs=1e-6)


def test_no_share_is_closer_to_certain_than_the_resamples_can_show():
    assert confidence(0.5).share_below(1e6) == 1 - 1 / 4001
    assert confidence(0.5).share_below(-1e6) == 1 / 4001


def test_the_quantiles_rise():
    shares = np.linspace(0.001, 0.999, 500)
    values = [confidence(1.0, freedom=3).quantile(share) for share in shares]
    assert np.all(np.diff(values) >= 0)


def test_draws_that_do_not_vary_leave_student_alone():
    result = confidence(1.0, draws=np.zeros(100)).interval(0.9)
    assert result.high == pytest.approx(stats.t.ppf(0.95, 4))


def test_no_end_lies_beyond_the_bounds():
    draws = np.linspace(0.0, 1.8, 101)
    wide, bounded = confidence(0.9, draws=draws), confidence(0.9, draws=draws, bounds=(0.2, 1.0))
    assert wide.interval(0.95).low < 0.2 < 1 < wide.interval(0.95).high
    assert (bounded.interval(0.95).low, bounded.interval(0.95).high) == (0.2, 1)
    assert bounded.quantile(0.5) == wide.quantile(0.5)


def test_rule_of_three():
    """With none of 100 users hit, at most 3.62 % are: 0.9638 ** 100 = 0.025."""
    result = confidence(0.0, draws=np.zeros(100), bounds=(0.0, 1.0)).interval(0.95)
    assert result.low == 0
    assert (1 - result.high) ** 100 == pytest.approx(0.025)
    assert result.high == pytest.approx(0.0362, abs=1e-4)


def test_a_reason_leaves_no_ends():
    result = confidence(1.0, reason="one user only")
    assert math.isnan(result.interval(0.95).low)
    assert math.isnan(result.share_below(0))
    assert result.interval(0.95).reason == "one user only"


@pytest.mark.parametrize("level", [0.0, 1.0, 95, math.nan])
def test_a_level_is_a_share(level):
    with pytest.raises(SettingsError, match=r"level is .*; a coverage between 0 and 1 is expected"):
        confidence(1.0).interval(level)
