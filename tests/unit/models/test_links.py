import pytest
import torch

from erase_ray.models._links import Links

WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.25], dtype=torch.float64)


def links():
    """Five links from three rows to four targets; nothing reaches target 1, row 2 goes nowhere."""
    sources, targets = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([3, 0, 0, 3, 3])
    return Links(sources, targets, WEIGHTS, num_sources=3, num_targets=4)


def test_sums_by_hand():
    rows_XD = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]], dtype=torch.float64)
    # target 0: 2 * row 1 + row 0; target 3: 0.5 * row 0 + 3 * row 1 + 0.25 * row 0
    expected = [[5.0, 50.0], [0.0, 0.0], [0.0, 0.0], [6.75, 67.5]]
    assert links().sums(rows_XD).tolist() == expected


def test_reversed_is_the_transposed_matrix():
    there = links().sums(torch.eye(3, dtype=torch.float64))
    back = links().reversed().sums(torch.eye(4, dtype=torch.float64))
    assert torch.equal(there, back.T)


def test_without_links():
    none = torch.zeros(0, dtype=torch.int64)
    empty = Links(none, none, torch.zeros(0), num_sources=2, num_targets=3)
    assert torch.equal(empty.sums(torch.ones(2, 5)), torch.zeros(3, 5))


def test_float32_is_the_same():
    rows_XD = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    exact = links()
    single = Links(exact.source_K, exact.target_K, WEIGHTS.float(), 3, 4)
    torch.testing.assert_close(single.sums(rows_XD), exact.sums(rows_XD.double()).float())


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_gradients(check):
    rows_XD = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert check(lambda rows: links().sums(rows).tanh(), (rows_XD,))
