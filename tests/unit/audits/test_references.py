"""How references are drawn, and that they do not tell who is in."""

import numpy as np
import pytest
from audit_toys import audit, membership, observations

from erase_ray.audits import _references
from erase_ray.audits._roc import Attack, auc


def test_draws_allowed_models_without_repeats():
    draws = np.random.default_rng(0)
    allowed = draws.random((8, 50)) < 0.7
    allowed[:3] = True
    chosen = _references.draw(allowed, 3, draws)
    assert chosen.shape == (3, 50)
    assert np.take_along_axis(allowed, chosen, axis=0).all()
    assert all(len(set(column)) == 3 for column in chosen.T)


def test_each_allowed_model_is_drawn_as_often():
    chosen = _references.draw(np.ones((4, 6000), bool), 1, np.random.default_rng(1))
    counts = np.bincount(chosen[0], minlength=4)
    assert (abs(counts - 1500) < 5 * np.sqrt(6000 * 0.25 * 0.75)).all()


def test_refuses_more_than_are_allowed():
    with pytest.raises(AssertionError):
        _references.draw(np.eye(4, dtype=bool), 2, np.random.default_rng(1))


def test_the_target_is_no_reference_and_both_kinds_are_as_many():
    member = membership(8, 200, np.random.default_rng(2))
    for target in range(8):
        others = _references.others(member.shape, target)
        for kind in (member, ~member):
            allowed = (others & kind).sum(axis=0)
            assert set(allowed - _references.balanced(8)) == {0, 1}
        chosen = _references.draw(others & member, 3, np.random.default_rng(3))
        assert target not in chosen


def test_taking_all_references_would_show_a_leak_where_there_is_none():
    """The logarithm of a mean of four is above that of a mean of three."""
    taken, drawn = [], []
    for seed in range(60):
        made = observations(seed=seed, num_requests=40, size=3, num_population=300, noise=1.5)
        out = ~made.member_KN
        score_KN = np.empty(out.shape)
        for target, log_p_N in enumerate(made.after_KN):
            allowed = out & _references.others(out.shape, target)
            mean_N = np.where(allowed, np.exp(made.after_KN), 0).sum(0) / allowed.sum(0)
            score_KN[target] = log_p_N - np.log(mean_N)
        for areas, scores in ((taken, score_KN), (drawn, audit("rmia").scores(made))):
            areas.append(auc(Attack(scores, made.member_KN, made.request_N)).value)
    sigma = np.std(drawn) / np.sqrt(60)
    assert abs(np.mean(drawn) - 0.5) < 3 * sigma
    assert np.mean(taken) < 0.5 - 4 * sigma
