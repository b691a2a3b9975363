import pytest
import torch

from erase_ray.models import _info_nce
from erase_ray.models._info_nce import log_sum_exp


def tables(queries=4, rows=7, width=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    query_BD = torch.randn(queries, width, generator=generator, dtype=dtype)
    table_ND = torch.randn(rows, width, generator=generator, dtype=dtype)
    return query_BD.requires_grad_(), table_ND.requires_grad_()


@pytest.mark.parametrize("most", [1, 27, 28, 10_000])
def test_value_and_gradients_are_those_of_the_plain_formula(most):
    query_BD, table_ND = tables()
    weight_B = torch.arange(1.0, 5, dtype=torch.float64)
    expected_B = (query_BD @ table_ND.T).logsumexp(1)
    actual_B = log_sum_exp(query_BD, table_ND, most)
    torch.testing.assert_close(actual_B, expected_B)
    expected = torch.autograd.grad(expected_B @ weight_B, (query_BD, table_ND))
    actual = torch.autograd.grad(actual_B @ weight_B, (query_BD, table_ND))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("most", [20, 10_000])
def test_can_be_differentiated_twice(most):
    def bent(query_BD, table_ND):
        return log_sum_exp(query_BD, table_ND, most).square()

    assert torch.autograd.gradcheck(bent, tables())
    assert torch.autograd.gradgradcheck(bent, tables())


def test_large_products_do_not_overflow():
    query_BD, table_ND = tables(dtype=torch.float32)
    scaled_BD = query_BD.detach() * 1000
    expected_B = (scaled_BD @ table_ND.T).logsumexp(1)
    torch.testing.assert_close(log_sum_exp(scaled_BD, table_ND, 8), expected_B)


def test_no_more_products_than_allowed_are_made_at_once(monkeypatch):
    sizes = []
    plain = _info_nce._Products.of

    def counted(self, left_BD, right_ND):
        result = plain(self, left_BD, right_ND)
        sizes.append(result.numel())
        return result

    monkeypatch.setattr(_info_nce._Products, "of", counted)
    query_BD, table_ND = tables(10, 100)
    total = log_sum_exp(query_BD, table_ND, 800).square().sum()
    grads = torch.autograd.grad(total, (query_BD, table_ND), create_graph=True)
    torch.autograd.grad(sum(grad.square().sum() for grad in grads), (query_BD, table_ND))
    assert max(sizes) == 200
    assert len(sizes) > 5 * 3


def test_what_is_kept_for_the_backward_pass_is_not_of_the_size_of_the_products():
    kept = []

    def note(tensor):
        kept.append(tensor.numel())
        return tensor

    query_BD, table_ND = tables(50, 60)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        total = log_sum_exp(query_BD, table_ND, 500).sum()
        torch.autograd.grad(total, (query_BD, table_ND), create_graph=True)
    assert max(kept) == 60 * 3


def test_a_small_matrix_is_made_once(monkeypatch):
    calls = []
    plain = _info_nce._Products.of
    monkeypatch.setattr(_info_nce._Products, "of", lambda *args: calls.append(1) or plain(*args))
    log_sum_exp(*tables()).sum().backward()
    assert len(calls) == 1


def test_autocast_makes_the_products_in_its_type():
    query_BD, table_ND = tables(20, 30, 16, torch.float32)
    exact_B = log_sum_exp(query_BD, table_ND)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse_B = log_sum_exp(query_BD, table_ND)
    assert coarse_B.dtype == torch.float32
    assert not torch.equal(coarse_B, exact_B)
    torch.testing.assert_close(coarse_B, exact_B, rtol=0.02, atol=0.02)
    grad_BD, _ = torch.autograd.grad(coarse_B.sum(), (query_BD, table_ND))
    assert grad_BD.dtype == torch.float32
    expected_BD, _ = torch.autograd.grad(exact_B.sum(), (query_BD, table_ND))
    torch.testing.assert_close(grad_BD, expected_BD, rtol=0.05, atol=0.05)
