"""RMIA by hand, on planted leaks, and where there is none."""

import numpy as np
import pytest
from audit_toys import audit, by_name, observations
from pydantic import ValidationError

from erase_ray.audits import Observations
from erase_ray.audits._roc import Attack, auc
from erase_ray.errors import DataError


def by_hand(**changes) -> Observations:
    """Four models, two examples, four of the population; every target has one reference of a kind.

    For model 0 it is certain what they say: models 1 and 2, which are out of the first example,
    agree on it, model 2 alone is out of the second, and all agree on the population.
    """
    p_KN = np.array([[0.40, 0.10], [0.20, 0.30], [0.20, 0.05], [0.90, 0.05]])
    member_KN = np.array([[True, False], [False, True], [False, False], [True, True]])
    p_KZ = np.array([[0.10, 0.30, 0.15, 0.80], *[[0.10, 0.10, 0.20, 0.10]] * 3])
    shares = {"before": (p_KN, p_KZ), "after": (p_KN, p_KZ)} | changes
    (before, before_z), (after, after_z) = shares["before"], shares["after"]
    return Observations(
        *np.log([before, after]), member_KN, np.arange(2), *np.log([before_z, after_z]), 3
    )


def test_score_by_hand():
    """Model 0. Ratios of the population: 1, 3, 0.75, 8; of the examples: 0.4/0.2 and 0.1/0.05."""
    scores = audit("rmia", shadows=4).scores(by_hand())
    assert scores[0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("gamma", "share"), [(0.6, 0.75), (1.9, 0.5), (2.1, 0.25), (3.0, 0.0)])
def test_gamma_raises_the_bar(gamma, share):
    """2 against gamma times 0.75, 1, 3 and 8."""
    scores = audit("rmia", shadows=4, gamma=gamma).scores(by_hand())
    assert scores[0, 0] == share


def test_a_draws_examples_and_population_alike_towards_certainty():
    """With a = 0.5, Pr is 0.75 p + 0.25: 0.4 for 0.2, 0.325 for 0.1, 0.2875 for 0.05.

    Ratios of the population: 0.1/0.325, 0.3/0.325, 0.15/0.4 and 0.8/0.325, that is 0.31, 0.92,
    0.375 and 2.46; of the examples: 0.4/0.4 = 1 and 0.1/0.2875 = 0.348. If the population were not
    drawn alike, or only half as far, the shares would be others.
    """
    scores = audit("rmia", shadows=4, a=0.5).scores(by_hand())
    assert scores[0].tolist() == [0.75, 0.25]


def test_references_as_trained_are_another_choice():
    """The trained references said 0.5 of the first example, the unlearned ones 0.2."""
    observed = by_hand()
    trained = np.array([[0.40, 0.10], [0.5, 0.30], [0.5, 0.05], [0.90, 0.05]])
    observed = by_hand(before=(trained, np.exp(observed.before_KZ)))
    assert audit("rmia", shadows=4).scores(observed)[0, 0] == 0.5
    # 0.4 / 0.5 = 0.8, above 0.75 alone
    assert audit("rmia", shadows=4, references="before").scores(observed)[0, 0] == 0.25


def test_online_references_know_the_example_as_often_as_not():
    """Model 3 knows the first example: (0.2 + 0.9) / 2, ratio 0.73, below all of 0.75, 1, 3, 8.

    The second: model 2 says 0.05, models 1 and 3, of which one is drawn, 0.3 and 0.05.
    """
    scores = audit("rmia", shadows=4, mode="online").scores(by_hand())
    assert scores[0, 0] == 0.0
    assert scores[0, 1] in (0.0, 0.5)


def test_finds_a_planted_leak_that_no_threshold_finds():
    observed = observations(leak=0.3)
    plain = auc(Attack(observed.after_KN, observed.member_KN, observed.request_N))
    found = by_name(audit("rmia").findings(observed))
    assert plain.value < 0.56
    assert found["auc"] > 0.7
    assert found["auc_low"] > 0.65
    assert found["leak_low"] > 0.3
    assert found["tpr_at_fpr_0.01"] > 0.03
    assert found["at_chance"] == 0


def test_sees_no_leak_where_there_is_none():
    found = by_name(audit("rmia").findings(observations()))
    assert found["auc_low"] < 0.5 < found["auc_high"]
    assert found["at_chance"] == 1
    assert found["leak_low"] == 0


def test_forgetting_too_much_points_the_other_way_and_leaks():
    found = by_name(audit("rmia").findings(observations(leak=-0.5)))
    assert found["auc_high"] < 0.3
    assert found["leak"] == pytest.approx(1 - 2 * found["auc"])
    assert 0.4 < found["leak_low"] < found["leak"] < found["leak_high"]


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_exact_forgetting_is_at_chance_as_often_as_it_should(mode):
    """200 experiments with noise that differs between examples and is skewed."""
    areas, held = [], []
    for seed in range(200):
        made = observations(seed=seed, num_requests=40, size=3, num_population=200, noise=1.0)
        skewed = [-np.exp(np.abs(log_p) / 4) for log_p in (made.after_KN, made.after_KZ)]
        made = Observations(
            skewed[0], skewed[0], made.member_KN, made.request_N, skewed[1], skewed[1], seed
        )
        found = by_name(audit("rmia", mode=mode).findings(made))
        areas.append(found["auc"])
        held.append(found["at_chance"])
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas) / np.sqrt(200)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) < np.mean(held)


def test_counts_pairs_of_model_and_example():
    found = {f.name: f for f in audit("rmia").findings(observations(num_requests=10, size=2))}
    assert found["n_in"].value == found["n_out"].value == 8 / 2 * 20
    assert found["auc"].n == 8 * 20
    rate = found["tpr_at_fpr_0.01"]
    assert np.isnan(rate.value)
    assert rate.n == 80


def test_few_of_the_population_can_be_taken():
    scores = audit("rmia", num_population=4).scores(observations())
    assert set(np.unique(scores)) <= {0, 0.25, 0.5, 0.75, 1}


def test_impossible_items_do_not_spoil_the_scores():
    made = observations()
    made.after_KN[:, :50] = -np.inf
    made.after_KN[0, :10] = 0.0
    assert np.isfinite(audit("rmia").scores(made)).all()


def test_needs_a_population():
    with pytest.raises(DataError, match="'rmia' compares with test queries, and there are none"):
        audit("rmia").findings(observations(num_population=0))


@pytest.mark.parametrize("shadows", [2, 5])
def test_needs_an_even_number_of_four_models_or_more(shadows):
    with pytest.raises(ValidationError, match=r"shadows\n\s+Input should be"):
        audit("rmia", shadows=shadows)
