import pytest
import torch
from torch import nn

from erase_ray.models import Model, Shape, _adam
from erase_ray.models._adam import Adam
from erase_ray.models._block_table import BlockTable

NUM_ITEMS = 6


class Pairs(Model):
    """A model that is a block table and a vector."""

    task = "none"

    def __init__(self):
        super().__init__(self.Settings(), Shape(1, NUM_ITEMS))
        self.table = BlockTable(NUM_ITEMS)
        self.bias = nn.Parameter(torch.zeros(NUM_ITEMS))
        self.reset(torch.Generator().manual_seed(3))

    def reset(self, generator):
        with torch.no_grad():
            self.table.weight.normal_(generator=generator)

    def loss(self, batch):
        return torch.stack([self._one(items) for items in batch])

    def scores(self, batch):
        raise NotImplementedError

    def head_parameters(self):
        return {"bias": self.bias}

    def _one(self, items):
        energy = (
            self.table.block(items) @ (0.05 * (items + 1).to(self.bias.dtype)) + self.bias[items]
        )
        return torch.tanh(energy).sum()


BATCHES = [
    [torch.tensor([0, 2, 3])],
    [torch.tensor([2, 5]), torch.tensor([2, 3, 5]), torch.tensor([1])],
    [torch.tensor([1, 4])],
    [torch.tensor([0, 1, 2, 3, 4, 5]), torch.tensor([0, 5])],
]


def trained(model, batches, weight_decay=0.0, eps=_adam.EPS):
    optimizer = Adam(model, 0.05, weight_decay, eps=eps)
    for batch in batches:
        optimizer.zero_grad()
        model.loss(batch).mean().backward()
        assert model.table.weight.grad is None
        optimizer.step()
    optimizer.close()
    return model


def touched(batch):
    mask = torch.zeros(NUM_ITEMS, NUM_ITEMS, dtype=torch.bool)
    for items in batch:
        mask[items[:, None], items] = True
    return mask


def test_equals_torch_sparse_adam_over_several_users():
    # torch adds epsilon before the bias correction there, and after it in dense Adam, as we do
    model = trained(Pairs().double(), BATCHES, eps=1e-30)
    reference = Pairs().double()
    flat = nn.Parameter(reference.table.weight.detach().clone().view(-1, 1))
    sparse = torch.optim.SparseAdam([flat], lr=0.05, eps=1e-30)
    dense = torch.optim.Adam([reference.bias], lr=0.05, eps=1e-30)
    for batch in BATCHES:
        reference.zero_grad()
        with torch.no_grad():
            reference.table.weight.copy_(flat.view(NUM_ITEMS, NUM_ITEMS))
        reference.loss(batch).mean().backward()
        index = touched(batch).view(-1).nonzero().T
        grad = reference.table.weight.grad.view(-1, 1)[index[0]]
        flat.grad = torch.sparse_coo_tensor(index, grad, flat.shape, check_invariants=True)
        sparse.step()
        dense.step()
    expected = flat.detach().view(NUM_ITEMS, NUM_ITEMS)
    torch.testing.assert_close(model.table.weight.detach(), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(model.bias, reference.bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_dense_adam_when_every_entry_is_read_in_every_step(weight_decay):
    every = torch.arange(NUM_ITEMS)
    batches = [[every], [every, torch.tensor([1, 2])], [torch.tensor([3]), every]]
    model = trained(Pairs(), batches, weight_decay)
    reference = Pairs()
    optimizer = torch.optim.Adam(reference.parameters(), lr=0.05, weight_decay=weight_decay)
    for batch in batches:
        optimizer.zero_grad()
        reference.loss(batch).mean().backward()
        optimizer.step()
    torch.testing.assert_close(model.table.weight, reference.table.weight, rtol=0, atol=1e-7)
    torch.testing.assert_close(model.bias, reference.bias, rtol=0, atol=1e-7)


def test_unread_entries_stay_exactly_as_they_were():
    before = Pairs().table.weight.detach()
    after = trained(Pairs(), BATCHES[:2]).table.weight.detach()
    read = touched(BATCHES[0]) | touched(BATCHES[1])
    assert torch.equal(after[~read], before[~read])
    assert (after[read] != before[read]).all()


def test_without_lending_the_gradient_is_dense_and_the_same():
    batch = BATCHES[1]
    plain, lending = Pairs(), Pairs()
    plain.loss(batch).mean().backward()
    lending.table.lend(True)
    lending.loss(batch).mean().backward()
    total = torch.zeros(NUM_ITEMS * NUM_ITEMS)
    for flat, block in lending.table.collect():
        total.index_add_(0, flat, block.grad)
    assert plain.table.weight.grad is not None
    torch.testing.assert_close(plain.table.weight.grad.view(-1), total)
    assert lending.table.collect() == []


def test_after_close_gradients_are_ordinary_again():
    model = trained(Pairs(), BATCHES[:1])
    model.loss(BATCHES[1]).mean().backward()
    assert model.table.weight.grad is not None


def test_frozen_weights_do_not_move():
    model = Pairs()
    model.table.weight.requires_grad_(False)
    trained(model, BATCHES)
    assert torch.equal(model.table.weight, Pairs().table.weight)
    assert (model.bias != 0).all()


def test_lending_lends_nothing_while_gradients_are_off():
    model = Pairs()
    model.table.lend(True)
    with torch.no_grad():
        model.loss(BATCHES[0])
    assert model.table._lent == []
