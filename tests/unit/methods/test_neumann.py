import math

import pytest
import torch

from erase_ray.methods._neumann import SAFETY, Spectrum, mixed_start, neumann, spectrum
from erase_ray.methods._solve import Limits, conjugate_gradient


def matrix(*eigenvalues: float) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues along the columns of a Householder reflection."""
    size = len(eigenvalues)
    axis = torch.ones(size, dtype=torch.float64) / math.sqrt(size)
    mirror = torch.eye(size, dtype=torch.float64) - 2 * torch.outer(axis, axis)
    return mirror @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ mirror


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def solved(A, rhs, limits, damping=0.0):
    """With the scale that the spectrum gives."""
    scale = spectrum(A.mv, mixed_start(rhs, 3), damping=damping).scale
    return neumann(A.mv, rhs, limits, scale, damping)


RHS = vector(1.0, -2.0, 0.5, 3.0, 0.7)


def test_equals_conjugate_gradient_and_the_dense_solution():
    A = matrix(0.5, 1.0, 4.0, 9.0, 20.0)
    dense = torch.linalg.solve(A + 0.3 * torch.eye(5).double(), RHS)
    limits = Limits(1e-12, 5000)
    x, solve, _ = solved(A, RHS, limits, damping=0.3)
    other, _ = conjugate_gradient(A.mv, RHS, limits, 0.3)
    assert (solve.end, solve.solver) == ("converged", "the Neumann series")
    assert solve.residual < 1e-12
    assert ((x - dense).norm() / dense.norm()).item() < 1e-8
    assert ((x - other).norm() / other.norm()).item() < 1e-8


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_do_not_matter(factor):
    A = matrix(0.5, 1.0, 4.0, 9.0, 20.0)
    x, solve, _ = solved(A * factor, RHS, Limits(1e-10, 5000))
    plain, plain_solve, _ = solved(A, RHS, Limits(1e-10, 5000))
    assert solve.iterations == plain_solve.iterations
    torch.testing.assert_close(x * factor, plain, rtol=1e-8, atol=0)


def test_partial_sums_are_the_iterates_of_the_recursion():
    A, damping, scale = matrix(0.5, 1.0, 4.0, 9.0, 20.0), 0.3, 25.0
    h = torch.zeros_like(RHS)
    for terms in range(1, 8):
        h = RHS + (1 - damping / scale) * h - A @ h / scale
        x, solve, _ = neumann(A.mv, RHS, Limits(1e-12, terms), scale, damping)
        torch.testing.assert_close(x, h / scale, rtol=1e-12, atol=0)
        left = RHS - A @ x - damping * x
        assert solve.residual == pytest.approx((left.norm() / RHS.norm()).item(), rel=1e-10)
        assert (solve.end, solve.iterations) == ("max_iterations", terms)


def test_badly_scaled_matrices_are_filtered():
    """Eigenvalue e and n terms: (1 - (1 - e/s)^n) / e, which is n/s where e is small."""
    A, rhs = torch.diag(vector(1e6, 1.0, 1e-6)), vector(1.0, 1.0, 1.0)
    x, solve, scale = neumann(A.mv, rhs, Limits(1e-9, 100), 2e6)
    assert (solve.end, scale) == ("max_iterations", 2e6)
    expected = [1e-6 * (1 - 0.5**100), 100 / 2e6, 100 / 2e6]
    torch.testing.assert_close(x, vector(*expected), rtol=1e-4, atol=0)


def test_a_scale_that_is_too_small_is_raised():
    A = matrix(0.5, 1.0, 4.0, 9.0, 20.0)
    x, solve, scale = neumann(A.mv, RHS, Limits(1e-12, 5000), 1.0)
    assert solve.end == "converged"
    assert 10 < scale < 2 * 20
    torch.testing.assert_close(x, torch.linalg.solve(A, RHS), rtol=1e-8, atol=0)


def test_a_steep_direction_that_the_right_hand_side_has_little_of_is_found():
    A, rhs = torch.diag(vector(100.0, 1.0, 1.0)), vector(1e-9, 1.0, 1.0)
    x, solve, scale = neumann(A.mv, rhs, Limits(1e-10, 5000), 2.0)
    assert (solve.end, scale) == ("converged", pytest.approx(SAFETY * 100, rel=0.05))
    torch.testing.assert_close(x, vector(1e-11, 1.0, 1.0), rtol=1e-8, atol=1e-12)


def test_negative_curvature_keeps_the_iterate_with_the_smallest_residual():
    A, rhs = torch.diag(vector(1.0, -0.2)), vector(1.0, 0.1)
    x, solve, scale = neumann(A.mv, rhs, Limits(1e-9, 500), 2.0)
    assert (solve.end, scale) == ("negative_curvature", 2.0)
    # residuals after t terms are (0.5 ** t, 0.1 * 1.1 ** t): shortest after 4
    lengths = [math.hypot(0.5**t, 0.1 * 1.1**t) for t in range(9)]
    assert lengths.index(min(lengths)) == 4
    assert solve.residual == pytest.approx(lengths[4] / rhs.norm().item())
    torch.testing.assert_close(rhs - A @ x, vector(0.5**4, 0.1 * 1.1**4))
    assert solve.iterations == 6  # the fifth product, and one that looks at what grew


def test_negative_curvature_at_once_gives_one_term():
    rhs = vector(3.0, 4.0)
    x, solve, _ = neumann(lambda v: -v, rhs, Limits(1e-9, 50), 2.0)
    assert (solve.end, solve.residual) == ("negative_curvature", 1.0)
    assert x.tolist() == [1.5, 2.0]


def test_damping_makes_up_for_negative_curvature():
    A, rhs = torch.diag(vector(1.0, -0.2)), vector(1.0, 0.1)
    x, solve, _ = neumann(A.mv, rhs, Limits(1e-10, 500), 2.0, damping=0.5)
    assert solve.end == "converged"
    torch.testing.assert_close(x, vector(1 / 1.5, 0.1 / 0.3), rtol=1e-8, atol=0)


def test_zero_has_the_solution_zero():
    x, solve, _ = neumann(matrix(1.0, 2.0).mv, torch.zeros(2).double(), Limits(1e-6, 5), 3.0)
    assert (solve.end, solve.iterations, solve.residual) == ("converged", 0, 0.0)
    assert x.tolist() == [0.0, 0.0]


def test_not_finite():
    rhs, limits = torch.ones(2), Limits(1e-6, 5)
    _, solve, _ = neumann(lambda v: v, rhs * math.inf, limits, 2.0)
    assert (solve.end, solve.iterations) == ("non_finite", 0)
    _, solve, _ = neumann(lambda v: v * math.nan, rhs, limits, 2.0)
    assert (solve.end, solve.iterations) == ("non_finite", 1)


def test_gives_up_when_told_to():
    answers = iter([False, False, True])
    give_up = lambda: next(answers)  # noqa: E731
    _, solve, _ = neumann(matrix(1.0, 2.0).mv, vector(1.0, 5.0), Limits(1e-12, 9), 3.0, 0, give_up)
    assert (solve.end, solve.iterations) == ("timed_out", 2)


def test_spectrum_of_a_small_matrix_is_exact():
    A = matrix(1.0, 2.0, 4.0, 9.0, 20.0)
    ends = spectrum(A.mv, RHS)
    assert (ends.lowest, ends.highest) == (pytest.approx(1.0), pytest.approx(20.0))
    assert ends.products == 5
    assert not ends.is_indefinite
    assert ends.scale == pytest.approx(SAFETY * 20)
    shifted = spectrum(A.mv, RHS, damping=3.0)
    assert (shifted.lowest, shifted.highest) == (pytest.approx(4.0), pytest.approx(23.0))


def test_eight_steps_bound_a_large_matrix_from_above():
    generator = torch.Generator().manual_seed(1)
    for power in (0.5, 1.0, 3.0):
        values = torch.rand(400, generator=generator).double() ** power
        ends = spectrum(lambda v, e=values: e * v, mixed_start(values, 5))
        assert ends.products == 8
        assert values.max() <= ends.scale < 1.5 * values.max()
        assert ends.lowest >= values.min()


def test_the_residual_of_the_highest_ritz_value_is_added():
    # one step along (1, 1): Ritz value 3, and A v - 3 v = (-1, 1) * sqrt(2) / 2 has length 1
    ends = spectrum(torch.diag(vector(2.0, 4.0)).mv, vector(1.0, 1.0), num_steps=1)
    assert (ends.lowest, ends.highest) == (pytest.approx(3.0), pytest.approx(4.0))


def test_spectrum_stops_at_the_first_sign_of_negative_curvature():
    values = torch.linspace(-1, 1, 100).double()
    ends = spectrum(lambda v: values * v, torch.ones(100).double())
    assert ends.is_indefinite
    assert ends.products < 8
    assert -1 <= ends.lowest < 0


def test_spectrum_of_a_multiple_of_the_identity_takes_one_step():
    ends = spectrum(lambda v: 3 * v, RHS)
    assert (ends.products, ends.lowest, ends.highest) == (1, pytest.approx(3), pytest.approx(3))


@pytest.mark.parametrize(("highest", "scale"), [(0.0, 1.0), (-2.0, 1.0), (math.nan, 1.0)])
def test_scale_without_positive_eigenvalues(highest, scale):
    assert Spectrum(-3.0, highest).scale == scale
    broken = spectrum(lambda v: v * math.nan, RHS)
    assert (broken.scale, broken.is_indefinite, broken.products) == (1.0, False, 1)


def test_start_has_something_of_everything_and_is_a_function_of_its_seed():
    rhs = torch.zeros(10_000)
    rhs[7] = 5.0
    start = mixed_start(rhs, 3)
    assert torch.equal(start, mixed_start(rhs, 3))
    assert not torch.equal(start, mixed_start(rhs, 4))
    torch.testing.assert_close(start[8:].abs(), torch.full((9992,), 0.01))
    assert start[7].item() == pytest.approx(1.0, abs=0.02)
    assert abs((start[8:] > 0).double().mean().item() - 0.5) < 0.02
    assert torch.equal(start[:5], mixed_start(rhs * 0, 3)[:5])
