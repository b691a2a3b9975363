import pytest
import torch
from torch import nn

from erase_ray.models._tied import tied

ITEMS = torch.tensor([3, 0, 3])


def table():
    weight = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return weight.requires_grad_()


def test_both_uses_are_added_up():
    weight = table()
    rows, whole = tied(weight, ITEMS)
    (5 * rows.sum() + whole.square().sum()).backward()
    uses = torch.tensor([[5.0], [0], [0], [10]], dtype=torch.float64)
    torch.testing.assert_close(weight.grad, uses + 2 * weight.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("use", [0, 1])
def test_one_use_alone(use):
    weight = table()
    (grad,) = torch.autograd.grad(tied(weight, ITEMS)[use].sum(), weight)
    assert grad[:, 0].tolist() == ([1, 0, 0, 2] if use == 0 else [1, 1, 1, 1])


def test_first_and_second_derivatives_by_differences():
    def product(weight):
        rows, whole = tied(weight, ITEMS)
        return torch.tanh(rows @ whole.T)

    assert torch.autograd.gradcheck(product, table())
    assert torch.autograd.gradgradcheck(product, table())


def test_the_gradient_of_the_whole_table_is_the_buffer_of_both():
    weight = nn.Parameter(table().detach())
    rows, whole = tied(weight, ITEMS)
    made = []
    whole.register_hook(lambda grad: made.append(grad.data_ptr()))
    (rows @ whole.T).exp().sum().backward()
    assert weight.grad.data_ptr() == made[0]
