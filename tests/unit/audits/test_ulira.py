"""The likelihood ratio by hand, on planted leaks, and where there is none."""

import numpy as np
import pytest
from audit_toys import audit, by_name, observations
from pydantic import ValidationError
from scipy import stats

from erase_ray.audits import Observations
from erase_ray.audits.ulira import log_odds, pooled_variance


def test_log_odds_are_finite_and_right():
    log_p = np.log([0.2, 0.5, 1e-8, 1.0, 0.0 + 1e-300])
    found = log_odds(np.r_[log_p, -np.inf, 0.0])
    assert found[:2] == pytest.approx([np.log(0.25), 0.0])
    assert found[2] == pytest.approx(np.log(1e-8), rel=1e-9)
    assert np.isfinite(found).all()
    assert found[3] == found[-1] > 30
    assert found[-2] < -700


def test_pooled_variance_is_around_the_mean_of_each_example():
    """Squares (1 + 1) and (4 + 4), one degree of freedom each; the third has one value alone."""
    value = np.array([[1.0, 10.0, 5.0], [3.0, 14.0, 99.0]])
    chosen = np.array([[True, True, True], [True, True, False]])
    assert pooled_variance(value, chosen) == pytest.approx((2 + 8) / 2)


def test_ratio_by_hand():
    """Target 0, 0.5, is out; of both examples the others that are out say -2.

    Of the first, those that are in say 3, and 0.5 is in the middle; of the second they say 5. All
    of a kind agree, so the variances are at their floor of 1e-12.
    """
    odds_KN = np.array([[0.5, 0.5], *[[3.0, 5.0]] * 3, *[[-2.0, -2.0]] * 2])
    member_KN = (odds_KN > 1).copy()
    log_p = -np.log1p(np.exp(-odds_KN))
    made = Observations(log_p, log_p, member_KN, np.arange(2), log_p, log_p, 0)
    scores = audit("ulira", shadows=6).scores(made)
    assert scores[0] * 2e-12 == pytest.approx([0, 2.5**2 - 4.5**2], abs=1e-9)


@pytest.mark.parametrize("variance", ["pooled", "example"])
def test_ratio_against_scipy(variance):
    """One example that the target is out of: both others that are out, two of three that are in."""
    made = observations(num_requests=1, size=1, num_models=6, seed=4)
    odds, member = log_odds(made.after_KN)[:, 0], made.member_KN[:, 0]
    scores = audit("ulira", shadows=6, variance=variance).scores(made)
    target = int(np.flatnonzero(~member)[0])
    possible = []
    out = np.flatnonzero(~member)[1:]
    inside = np.flatnonzero(member)
    for left in inside:
        kept = inside[inside != left]
        pooled = [odds[inside].std(ddof=1), odds[out].std(ddof=1)]
        own = [odds[kept].std(ddof=1), odds[out].std(ddof=1)]
        scales = pooled if variance == "pooled" else own
        fits = zip((odds[kept].mean(), odds[out].mean()), scales, strict=True)
        known, unseen = (stats.norm.logpdf(odds[target], *fit) for fit in fits)
        possible.append(known - unseen)
    assert np.isclose(possible, scores[target, 0], atol=1e-9).sum() == 1


@pytest.mark.parametrize("leak", [0.4, -0.4])
def test_finds_a_planted_leak_in_either_direction(leak):
    """The attacker has seen what forgetting leaves, so that too much of it is found as well."""
    found = by_name(audit("ulira").findings(observations(leak=leak)))
    assert found["auc_low"] > 0.7
    assert found["tpr_at_fpr_0.01"] > 0.04
    assert found["at_chance"] == 0


def test_one_variance_is_better_than_many_with_few_models():
    made = observations(leak=0.4)
    pooled, own = (
        by_name(audit("ulira", variance=kind).findings(made))["auc"]
        for kind in ("pooled", "example")
    )
    assert pooled > own + 0.02


def test_exact_forgetting_is_at_chance_as_often_as_it_should():
    areas, held = [], []
    for seed in range(200):
        made = observations(seed=seed, num_requests=40, size=3, num_population=1, noise=0.8)
        found = by_name(audit("ulira").findings(made))
        areas.append(found["auc"])
        held.append(found["at_chance"])
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas) / np.sqrt(200)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) < np.mean(held)


def test_own_variances_need_six_models():
    with pytest.raises(ValidationError, match="variance: example needs shadows: 6 or more"):
        audit("ulira", shadows=4, variance="example")
