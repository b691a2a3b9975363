"""Products of blocks are the same however the blocks are read."""

import torch

from erase_ray.models._block_table import BlockTable

ITEMS = torch.tensor([4, 1, 7, 0, 2, 7])
VALUES = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.25, 2.0], dtype=torch.float64)
SIZES = [3, 1, 2]


def table() -> BlockTable:
    made = BlockTable(9).double()
    with torch.no_grad():
        made.weight.normal_(generator=torch.Generator().manual_seed(1))
    return made


def expected(weight: torch.Tensor) -> torch.Tensor:
    pairs = zip(ITEMS.split(SIZES), VALUES.split(SIZES), strict=True)
    return torch.cat([weight[items][:, items] @ values for items, values in pairs])


def test_without_gradients():
    made = table()
    with torch.no_grad():
        torch.testing.assert_close(made.products(ITEMS, VALUES, SIZES), expected(made.weight))


def test_with_one_gradient_of_the_table():
    made = table()
    found = made.products(ITEMS, VALUES, SIZES)
    torch.testing.assert_close(found, expected(made.weight))
    weights = torch.arange(6, dtype=torch.float64)
    (ours,) = torch.autograd.grad(found @ weights, made.weight)
    (plain,) = torch.autograd.grad(expected(made.weight) @ weights, made.weight)
    torch.testing.assert_close(ours, plain)


def test_lent_blocks():
    made = table()
    made.lend(True)
    found = made.products(ITEMS, VALUES, SIZES)
    torch.testing.assert_close(found, expected(made.weight))
    found.sum().backward()
    assert [len(flat) for flat, _ in made.collect()] == [9, 1, 4]
    assert made.weight.grad is None
