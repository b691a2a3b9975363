import math

import pytest
import torch

from erase_ray.methods._solve import Limits, conjugate_gradient


def matrix(*eigenvalues: float) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues along the columns of a Householder reflection."""
    size = len(eigenvalues)
    axis = torch.ones(size, dtype=torch.float64) / math.sqrt(size)
    mirror = torch.eye(size, dtype=torch.float64) - 2 * torch.outer(axis, axis)
    return mirror @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ mirror


def test_solves_in_as_many_steps_as_there_are_eigenvalues():
    A = matrix(1.0, 1.0, 4.0, 9.0, 9.0)
    rhs = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0], dtype=torch.float64)
    x, solve = conjugate_gradient(A.mv, rhs, Limits(1e-10, 50))
    assert solve.end == "converged"
    assert solve.iterations == 3
    assert solve.residual < 1e-10
    torch.testing.assert_close(x, torch.linalg.solve(A, rhs), rtol=1e-9, atol=1e-12)


def test_residual_is_that_of_the_solution_when_cut_short():
    A = matrix(1.0, 2.0, 3.0, 4.0)
    rhs = torch.arange(1.0, 5.0, dtype=torch.float64)
    x, solve = conjugate_gradient(A.mv, rhs, Limits(1e-10, 2))
    assert (solve.end, solve.iterations) == ("max_iterations", 2)
    expected = (rhs - A @ x).norm() / rhs.norm()
    assert solve.residual == pytest.approx(expected.item(), rel=1e-9)
    assert 0 < solve.residual < 1


def test_zero_has_the_solution_zero():
    x, solve = conjugate_gradient(matrix(1.0, 2.0).mv, torch.zeros(2).double(), Limits(1e-6, 5))
    assert (solve.end, solve.iterations, solve.residual) == ("converged", 0, 0.0)
    assert x.tolist() == [0.0, 0.0]


def test_negative_curvature_at_once_gives_the_steepest_direction():
    rhs = torch.tensor([1.0, 2.0], dtype=torch.float64)
    x, solve = conjugate_gradient(lambda v: -v, rhs, Limits(1e-6, 5))
    assert (solve.end, solve.iterations, solve.residual) == ("negative_curvature", 1, 1.0)
    assert x.tolist() == [1.0, 2.0]


def test_negative_curvature_later_keeps_what_was_found():
    # 4, -1 and rhs (3, 1): first direction has curvature 36 - 1 = 35, step 10 / 35
    diagonal = torch.tensor([4.0, -1.0], dtype=torch.float64)
    rhs = torch.tensor([3.0, 1.0], dtype=torch.float64)
    x, solve = conjugate_gradient(lambda v: diagonal * v, rhs, Limits(1e-6, 5))
    assert (solve.end, solve.iterations) == ("negative_curvature", 2)
    torch.testing.assert_close(x, rhs * 10 / 35)


def test_damping_is_added():
    A = matrix(0.0, 1.0, 3.0)
    rhs = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    x, solve = conjugate_gradient(A.mv, rhs, Limits(1e-12, 9), damping=0.5)
    assert solve.end == "converged"
    torch.testing.assert_close(x, torch.linalg.solve(A + 0.5 * torch.eye(3).double(), rhs))


@pytest.mark.parametrize(("lowest", "end"), [(-0.4, "converged"), (-0.6, "negative_curvature")])
def test_curvature_below_half_the_damping_counts_as_negative(lowest, end):
    diagonal = torch.tensor([lowest, 2.0], dtype=torch.float64)
    rhs = torch.tensor([1.0, 0.0], dtype=torch.float64)
    x, solve = conjugate_gradient(lambda v: diagonal * v, rhs, Limits(1e-9, 5), damping=1.0)
    assert solve.end == end
    assert x.tolist() == [pytest.approx(1 / 0.6) if end == "converged" else 1.0, 0.0]


def test_not_finite():
    rhs = torch.ones(2)
    assert conjugate_gradient(lambda v: v * math.nan, rhs, Limits(1e-6, 5))[1].end == "non_finite"
    assert conjugate_gradient(lambda v: v, rhs * math.inf, Limits(1e-6, 5))[1].end == "non_finite"


def test_gives_up_when_told_to():
    answers = iter([False, True])
    A = matrix(1.0, 2.0, 3.0)
    rhs = torch.ones(3).double() * torch.tensor([1.0, 2.0, 4.0])
    _, solve = conjugate_gradient(A.mv, rhs, Limits(1e-12, 5), give_up=lambda: next(answers))
    assert (solve.end, solve.iterations) == ("timed_out", 1)
