import math

import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from erase_ray.methods import _gaussian
from erase_ray.methods._gaussian import add_noise, epsilon_of, sigma_for, squares


@pytest.mark.parametrize(
    ("zeta", "epsilon", "delta", "sigma"),
    # ln(1.25e5) = 11.736069, its double's root 4.844805; ln 125 = 4.828314, 3.107511
    [(1.0, 1.0, 1e-5, 4.844805), (3.0, 0.5, 1e-5, 29.068831), (0.2, 0.1, 0.01, 6.215022)],
)
def test_standard_deviation(zeta, epsilon, delta, sigma):
    assert sigma_for(zeta, epsilon, delta) == pytest.approx(sigma, rel=1e-6)


def test_standard_deviation_is_known_up_to_an_epsilon_of_one():
    with pytest.raises(AssertionError):
        sigma_for(1.0, 1.01, 1e-5)


def test_epsilon_worked_by_hand():
    # at mu = 1 and epsilon = 1: Phi(-0.5) - e Phi(-1.5) = 0.30853754 - 2.71828183 * 0.06680720
    assert epsilon_of(1.0, 0.12693674) == pytest.approx(1.0, abs=1e-6)
    # at mu = 2 and epsilon = 3: Phi(-0.5) - e^3 Phi(-2.5) = 0.30853754 - 20.0855369 * 0.00620967
    assert epsilon_of(2.0, 0.18381307) == pytest.approx(3.0, abs=1e-5)


def test_models_that_delta_alone_covers():
    # at epsilon = 0, delta is 2 Phi(mu / 2) - 1 = 0.3829249 for mu = 1
    assert epsilon_of(1.0, 0.383) == 0.0
    assert epsilon_of(1.0, 0.382) > 0.0
    assert epsilon_of(0.0, 1e-5) == 0.0
    assert epsilon_of(math.inf, 1e-5) == math.inf


@pytest.mark.parametrize("mu", [1e-3, 0.1, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-5, 1e-4])
def test_epsilon_against_the_formula_itself(mu, delta):
    def excess(epsilon):
        near, far = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
        return norm.cdf(near) - math.exp(epsilon + norm.logcdf(far)) - delta

    expected = brentq(excess, 0.0, mu * (mu / 2 + 10), xtol=1e-14)
    assert epsilon_of(mu, delta) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("mu", [1e3, 1e6, 1e9])
def test_huge_distances_do_not_overflow(mu):
    # what is far away is caught by one threshold: mu (mu / 2 + 4.264891), Phi(-4.264891) = 1e-5
    expected = mu * (mu / 2 + 4.264891)
    assert abs(epsilon_of(mu, 1e-5) - expected) < 2 + 1e-12 * expected


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("delta", [1e-8, 1e-5])
def test_the_noise_of_the_formula_certifies_at_least_its_epsilon(epsilon, delta):
    found = epsilon_of(1 / sigma_for(1.0, epsilon, delta), delta)
    assert 0.4 * epsilon < found <= epsilon


def test_epsilon_grows_with_the_distance_and_falls_with_delta():
    by_mu = [epsilon_of(mu, 1e-5) for mu in (0.01, 0.1, 1.0, 3.0, 30.0)]
    assert by_mu == sorted(by_mu)
    assert len(set(by_mu)) == 5
    by_delta = [epsilon_of(1.0, delta) for delta in (1e-8, 1e-5, 1e-2)]
    assert by_delta == sorted(by_delta, reverse=True)


def test_composition_is_never_worse_than_the_theorems():
    """100 requests of (0.5, 1e-5), 0.103203 standard deviations each."""
    mu = 0.5 / 4.844805
    total = math.sqrt(100) * mu
    basic = 50.0  # at delta 1e-3
    # sqrt(200 ln 1e5) / 2 + 50 (sqrt(e) - 1), at delta 1.01e-3
    advanced = 23.992629 + 32.436064
    assert advanced == pytest.approx(
        math.sqrt(200 * math.log(1e5)) / 2 + 50 * math.expm1(0.5), rel=1e-6
    )
    rho = 100 * mu**2 / 2  # 0.532538
    concentrated = rho + 2 * math.sqrt(rho * math.log(1e5))  # 5.484785, at delta 1e-5
    assert concentrated == pytest.approx(5.484785, rel=1e-5)
    # mu = 1.032033: Phi(-3.883168) - e^4.540105 Phi(-4.915201) = 5.155213e-5 - 4.155214e-5
    assert epsilon_of(total, 1e-5) == pytest.approx(4.540105, abs=1e-5)
    assert epsilon_of(total, 1e-5) < concentrated < basic < advanced


def test_noise_has_its_mean_and_standard_deviation():
    one, two = torch.zeros(300, 1000), torch.ones(50_000)
    add_noise([one, two], 0.2, seed=3)
    for drawn in (one.flatten(), two - 1):
        assert abs(drawn.mean()) < 4 * 0.2 / math.sqrt(len(drawn))
        assert drawn.std().item() == pytest.approx(0.2, rel=4 / math.sqrt(2 * len(drawn)))
    assert (one != 0).all()
    correlation = torch.corrcoef(torch.stack([one.flatten()[:50_000], two]))[0, 1]
    assert abs(correlation) < 4 / math.sqrt(50_000)


def test_noise_is_a_function_of_its_seed():
    drawn = [torch.zeros(100, dtype=torch.float64) for _ in range(3)]
    for weight, seed in zip(drawn, (5, 5, 6), strict=True):
        torch.rand(7)
        add_noise([weight], 1.0, seed)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_noise_can_be_taken_off(monkeypatch):
    monkeypatch.setattr(_gaussian, "CHUNK", 64)
    before = [torch.randn(33, 7, dtype=torch.float64), torch.randn(5, dtype=torch.float64)]
    after = [weight.clone() for weight in before]
    add_noise(after, 0.5, 9)
    assert all((a != b).all() for a, b in zip(after, before, strict=True))
    add_noise(after, -0.5, 9)
    for a, b in zip(after, before, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_noise_on_nothing():
    add_noise([], 1.0, 0)


def test_squares(monkeypatch):
    monkeypatch.setattr(_gaussian, "CHUNK", 2)
    assert squares([torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0])]) == 55.0
    assert squares([torch.full((3,), 1e-4)]) == pytest.approx(3e-8, rel=1e-6)
    assert squares([]) == 0.0
