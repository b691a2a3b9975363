import pytest
import torch
from method_toys import (
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    dense_hessian,
    fresh,
    toy_table,
    toy_world,
)
from torch import nn

from erase_ray.methods._curvature import Curvature, gradient_sum, smooth, weighted_batches

TABLE = toy_table()


def step_parts(dropout=0.0):
    examples = toy_world(StepTask(), TABLE).examples
    model = fresh(StepModel, TABLE, dropout=dropout)
    return model, list(model.head_parameters().values()), examples


@pytest.mark.parametrize("budget", [0.0, 20_000.0, 1e9])
def test_product_is_that_of_the_dense_hessian(budget):
    model, head, examples = step_parts()
    batches = weighted_batches(examples, 0.3, 16, seed=4)
    dense, _, _ = dense_hessian(model, batches)
    hessian = Curvature(model, head, batches, budget)
    for seed in (1, 2):
        vector = torch.randn(len(dense), generator=torch.Generator().manual_seed(seed)).double()
        torch.testing.assert_close(hessian(vector), dense @ vector, rtol=1e-12, atol=1e-12)
    assert hessian.num_products == 2 * len(batches)


def test_kept_graphs_change_no_bit():
    model, head, examples = step_parts()
    batches = weighted_batches(examples, 1.0, 16, seed=4)
    vector = torch.linspace(-1, 1, sum(weight.numel() for weight in head)).double()
    some, every, none = (Curvature(model, head, batches, b) for b in (20_000.0, 1e9, 0.0))
    found = [hessian(vector) for hessian in (some, every, none) for _ in range(2)]
    assert 0 < len(some._kept) < len(batches) == len(every._kept)
    assert not none._kept
    assert all(torch.equal(product, found[0]) for product in found)


def test_gradient_is_that_of_the_weighted_sum():
    model, head, examples = step_parts()
    batches = weighted_batches(examples, 0.3, 16, seed=4)
    _, start, total = dense_hessian(model, batches)
    expected = torch.autograd.functional.jacobian(total, start)
    torch.testing.assert_close(gradient_sum(model, head, batches), expected)
    assert all(weight.grad is None for weight in model.parameters())


def test_without_batches_everything_is_zero():
    model, head, examples = step_parts()
    assert weighted_batches(examples.take(torch.arange(0)), 1.0, 16, seed=4) == []
    vector = torch.ones(sum(weight.numel() for weight in head)).double()
    assert not gradient_sum(model, head, []).any()
    assert not Curvature(model, head, [], 1e9)(vector).any()


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(2))
        self.curved = nn.Parameter(torch.ones(2))

    def loss(self, batch):
        return (self.slope * batch).sum().view(1) + self.curved.square().sum() / 2


def test_a_loss_linear_in_a_parameter_has_no_curvature_there():
    model = Linear()
    one = weighted_batches(toy_world(PairTask(), TABLE).examples, 1.0, 500, seed=1)[:1]
    object.__setattr__(one[0], "batch", torch.tensor([3.0, 4.0]))
    both = Curvature(model, [model.slope, model.curved], one, 1e9)
    assert both(torch.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [0.0, 0.0, 3.0, 4.0]
    flat = Curvature(model, [model.slope], one, 1e9)
    assert flat(torch.tensor([1.0, 2.0])).tolist() == [0.0, 0.0]


def test_batches_cover_every_draw_once():
    examples = toy_world(PairTask(), TABLE).examples
    batches = weighted_batches(examples, 0.5, 54, seed=4, num_draws=3)
    assert sum(len(one.batch) for one in batches) == 3 * len(examples)
    assert {one.weight for one in batches} == {0.5 / 3}
    negatives = torch.stack(
        [torch.cat([one.batch.negative_B for one in batches[draw::3]]) for draw in range(3)]
    )
    assert not torch.equal(negatives[0], negatives[1])
    same = weighted_batches(examples.take(torch.tensor([5, 3])), 0.5, 54, seed=4, num_draws=3)
    assert len(same) == 1, "few examples and their draws are one batch"
    assert same[0].batch.negative_B.view(3, 2).tolist() == negatives[:, [5, 3]].tolist()
    assert same[0].batch.user_B.view(3, 2).tolist() == [examples.users[[5, 3]].tolist()] * 3


def test_one_draw_is_enough_where_nothing_is_drawn():
    examples = toy_world(StepTask(), TABLE).examples
    batches = weighted_batches(examples, 0.5, 500, seed=4, num_draws=3)
    assert [one.weight for one in batches] == [0.5]


def test_smooth_turns_dropout_off_and_restores_the_modes():
    model, head, examples = step_parts(dropout=0.5)
    batches = weighted_batches(examples, 1.0, 500, seed=4)
    model.train()
    model.drop.eval()
    with smooth(model):
        assert not model.training
        still = gradient_sum(model, head, batches)
    assert model.training
    assert not model.drop.training
    plain, plain_head, _ = step_parts(dropout=0.0)
    assert torch.equal(still, gradient_sum(plain, plain_head, batches))


def test_smooth_turns_cudnn_off_for_recurrent_models_alone():
    model = fresh(UserModel, TABLE)
    before = torch.backends.cudnn.enabled
    with smooth(model):
        assert torch.backends.cudnn.enabled == before
    model.add_module("recurrent", nn.GRU(2, 2))
    with smooth(model):
        assert not torch.backends.cudnn.enabled
    assert torch.backends.cudnn.enabled == before
