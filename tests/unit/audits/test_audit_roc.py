"""The curve against scipy and by hand; intervals against a bootstrap and by how often they hold."""

import numpy as np
import pytest
from audit_toys import membership
from scipy import stats

from erase_ray.audits._roc import Attack, auc, tpr_at


def one_model(ins: list[float], outs: list[float]) -> Attack:
    """Each score is a request of its own."""
    member = np.r_[np.ones(len(ins)), np.zeros(len(outs))].astype(bool)
    return Attack(np.array([ins + outs]), member[None], np.arange(member.size))


def drawn(
    seed: int, leak: float = 0.0, num_models: int = 8, num_requests: int = 60, size: int = 4
) -> Attack:
    """Scores that a request shares in part; a leak, if any, of varying height in each model."""
    draws = np.random.default_rng(seed)
    request_N = np.repeat(np.arange(num_requests), size)
    member_KN = membership(num_models, num_requests, draws)[:, request_N]
    score_KN = draws.normal(size=member_KN.shape)
    score_KN += 0.7 * draws.normal(size=(num_models, num_requests))[:, request_N]
    leak_K1 = leak * draws.normal(1, 0.5, (num_models, 1))
    return Attack(score_KN + leak_K1 * member_KN, member_KN, request_N)


def test_auc_of_one_model_is_the_mann_whitney_statistic():
    draws = np.random.default_rng(0)
    # few different values, so that many tie
    ins, outs = draws.integers(2, 9, 40).tolist(), draws.integers(0, 7, 55).tolist()
    expected = stats.mannwhitneyu(ins, outs).statistic / (40 * 55)
    assert auc(one_model(ins, outs)).value == pytest.approx(expected, abs=1e-12)


def test_auc_compares_within_a_model_alone():
    """By hand: 1 of 2 pairs, then 1.5 of 2; across models all ins would win."""
    score_KN = np.array([[5.0, 4.0, 6.0], [105.0, 100.0, 100.0]])
    member_KN = np.array([[True, False, False], [False, True, True]])
    attack = Attack(np.array([[5.0, 4.0, 6.0], [100.0, 100.0, 101.0]]), member_KN, np.arange(3))
    assert auc(attack).value == (1 + 0.5 + 1) / 4
    attack = Attack(score_KN, member_KN, np.arange(3))
    assert auc(attack).value == (1 + 0 + 0) / 4


def test_auc_is_unknown_where_nothing_can_be_compared():
    assert np.isnan(auc(one_model([1.0, 2.0], [])).value)
    assert np.isnan(auc(one_model([], [1.0, 2.0])).low)


def test_all_ties_are_one_half_and_tell_little():
    found = auc(one_model([1.0] * 5, [1.0] * 5))
    assert found.value == 0.5
    assert found.low < 0.3
    assert found.high > 0.7


def test_perfect_separation_of_few_is_not_taken_for_certain():
    found = auc(one_model([3.0, 4.0], [1.0, 2.0]))
    assert found.value == found.high == 1
    # 95 % interval of 4 hits in 4 trials
    assert found.low == pytest.approx(0.025 ** (1 / 4))


def test_tpr_is_the_highest_with_no_more_false_positives():
    """Of 10 outs one may pass at 0.1: the threshold is the second highest out."""
    attack = one_model([8.5, 9.5, 3.0, 9.0], [float(score) for score in range(10)])
    assert tpr_at(attack, 0.1).value == 0.75
    assert tpr_at(attack, 0.19).value == 0.75
    assert tpr_at(attack, 0.2).value == 0.75
    assert tpr_at(attack, 0.7).value == 1.0
    # 9.5 alone is above the out of 9
    assert tpr_at(one_model([9.5, 8.0, 8.0, 8.0], [9.0] + [0.0] * 9), 0.1).value == 1.0


def test_outs_that_tie_pass_together_or_not_at_all():
    attack = one_model([5.0, 4.0], [5.0, 5.0] + [0.0] * 8)
    assert tpr_at(attack, 0.1).value == 0.0
    assert tpr_at(attack, 0.2).value == 1.0


def test_tpr_is_unknown_with_too_few_outs():
    outs = np.linspace(0, 1, 999).tolist()
    assert np.isnan(tpr_at(one_model([2.0], outs), 0.001).value)
    assert np.isnan(tpr_at(one_model([2.0], outs), 0.001).high)
    assert tpr_at(one_model([2.0, 0.0], [*outs, 0.5]), 0.001).value == 0.5


def test_tpr_at_low_rates_agrees_with_a_slow_twin():
    attack = drawn(3, leak=1.0)
    ins, outs = attack.score_KN[attack.member_KN], attack.score_KN[~attack.member_KN]
    for rate in (0.01, 0.05, 0.3):
        shares = [
            (np.mean(ins >= threshold), np.mean(outs >= threshold))
            for threshold in np.unique(attack.score_KN)
        ]
        best = max(hit for hit, false in shares if false <= rate)
        assert tpr_at(attack, rate).value == pytest.approx(best)


def bootstrap(attack: Attack, figure, draws, by_model: bool) -> float:
    """Standard deviation over resampled requests or models, slow and without any formula."""
    num_models, values = len(attack.score_KN), []
    places = [np.flatnonzero(attack.request_N == r) for r in range(attack.num_requests)]
    for _ in range(400):
        if by_model:
            chosen = draws.integers(num_models, size=num_models)
            again = Attack(attack.score_KN[chosen], attack.member_KN[chosen], attack.request_N)
        else:
            chosen = draws.integers(len(places), size=len(places))
            at = np.concatenate([places[request] for request in chosen])
            again = Attack(attack.score_KN[:, at], attack.member_KN[:, at], attack.request_N[at])
        values.append(figure(again).value)
    return float(np.std(values))


@pytest.mark.parametrize("rate", [None, 0.05, 0.2])
def test_width_is_that_of_a_bootstrap_over_requests_in_one_model(rate):
    many = drawn(5, leak=1.0, num_requests=300)
    attack = Attack(many.score_KN[:1], many.member_KN[:1], many.request_N)

    def figure(attack: Attack):
        return auc(attack) if rate is None else tpr_at(attack, rate)

    found = figure(attack)
    spread = bootstrap(attack, figure, np.random.default_rng(1), by_model=False)
    width = (found.high - found.low) / (2 * 1.96)
    assert 0.85 * spread < width < 1.25 * spread


def test_width_covers_models_that_leak_more_or_less():
    attack = drawn(5, leak=1.5, num_requests=150)
    found = auc(attack)
    spread = bootstrap(attack, auc, np.random.default_rng(1), by_model=True)
    # with about 7 degrees of freedom
    width = (found.high - found.low) / (2 * stats.t.ppf(0.975, 7))
    assert 0.8 * spread < width < 1.3 * spread


@pytest.mark.parametrize("shape", [{}, {"num_models": 4, "size": 1}], ids=["usual", "small"])
def test_intervals_hold_one_half_as_often_as_they_say(shape):
    """400 experiments without a leak: 95 % of them, give or take 3 sigma, or some more."""
    held = [auc(drawn(seed, **shape)).has_half for seed in range(400)]
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400) < np.mean(held) < 0.99


def test_intervals_hold_the_truth_where_there_is_a_leak():
    """Normal scores: the area is known in closed form."""
    scale = np.sqrt(1 + 0.7**2)
    truth = stats.norm.cdf(0.6 / np.sqrt(2 * scale**2 + (0.6 * 0.5) ** 2))
    found = [auc(drawn(seed, leak=0.6, num_requests=80)) for seed in range(300)]
    assert np.mean([area.value for area in found]) == pytest.approx(truth, abs=0.01)
    held = np.mean([area.low <= truth <= area.high for area in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) < held


def test_true_positive_rates_are_held_as_well():
    """Without a leak they are the false positive rate."""
    found = [tpr_at(drawn(seed, num_requests=100), 0.05) for seed in range(300)]
    assert np.mean([rate.value for rate in found]) == pytest.approx(0.05, abs=0.003)
    held = np.mean([rate.low <= 0.05 <= rate.high for rate in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) < held
