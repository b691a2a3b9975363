"""Restricting tables to the rows that are read changes no number."""

import pytest
import torch

from erase_ray.methods._curvature import Curvature, Weighted, gradient_sum, smooth
from erase_ray.methods._subspace import subspace
from erase_ray.methods._undo import Undo
from tests.conftest import LEARNING

NARROWED = {"bpr": 2, "sets2sets": 3}
"""Models some of whose tables are read at a few places only, and how many tables."""


@pytest.fixture
def batches(model, examples):
    model.double()
    index = torch.randperm(len(examples), generator=torch.Generator().manual_seed(3))[:40]
    return [Weighted(examples.batch(part, 5), 0.5) for part in index.split(13)]


def widened(space, vector_P, model):
    """A flat vector over the subspace as dense tensors, by parameter."""
    dense = {}
    for name, piece in space.split(vector_P).items():
        weight = model.get_parameter(name)
        if name in space.places:
            wide = torch.zeros_like(weight).view(-1, *piece.shape[1:])
            wide[space.places[name]] = piece
            dense[name] = wide.view_as(weight)
        else:
            dense[name] = piece
    return dense


@pytest.mark.parametrize("model_name", LEARNING, indirect=True)
def test_gradients_and_products_are_the_dense_ones(model, model_name, batches):
    parameters = dict(model.named_parameters())
    known = [one.batch for one in batches]
    draw = torch.Generator().manual_seed(4)
    with smooth(model):
        with subspace(model, parameters, known) as space:
            assert len(space.places) == NARROWED.get(model_name, 0)
            gradient = gradient_sum(model, space.leaves, batches)
            vector = torch.randn(space.size, generator=draw, dtype=torch.float64)
            product = Curvature(model, space.leaves, batches, 1e9)(vector)
            found = [widened(space, one, model) for one in (gradient, vector, product)]
        wide = list(parameters.values())
        flat = torch.cat([found[1][name].flatten() for name in parameters])
        expected = gradient_sum(model, wide, batches), Curvature(model, wide, batches, 0)(flat)
    for ours, theirs in zip((found[0], found[2]), expected, strict=True):
        ours = torch.cat([ours[name].flatten() for name in parameters])
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("model_name", NARROWED, indirect=True)
def test_a_step_reaches_the_tables_and_can_be_undone(model, batches):
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    undo = Undo()
    parameters = dict(model.named_parameters())
    with subspace(model, parameters, [one.batch for one in batches], undo) as space:
        step = torch.ones(space.size, dtype=torch.float64)
        space.add(step, 0.5)
        added = widened(space, step * 0.5, model)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), before[name] + added[name])
    assert undo.distance() == pytest.approx(0.5 * len(step) ** 0.5)
    assert undo.finite()
    undo.restore()
    assert all(torch.equal(w, before[name]) for name, w in model.named_parameters())


@pytest.mark.parametrize("model_name", ["bpr"], indirect=True)
def test_what_was_not_announced_cannot_be_read(model, batches, examples):
    table = model.user_embedding.weight
    before = table.detach().clone()
    with (
        pytest.raises(RuntimeError, match="a place that it does not hold"),
        subspace(model, {"user_embedding.weight": table}, [batches[0].batch]),
    ):
        model.loss(examples.batch(torch.arange(len(examples)), 5))
    assert torch.equal(table, before)
    model.loss(examples.batch(torch.arange(len(examples)), 5))


@pytest.mark.parametrize("model_name", ["bpr"], indirect=True)
def test_further_places_can_be_asked_for(model, batches):
    name = "item_embedding.weight"
    with subspace(model, {name: model.get_parameter(name)}, [batches[0].batch]) as space:
        few = space.places[name]
    other = torch.tensor([i for i in range(model.shape.num_items) if i not in few][:2])
    parameters = {name: model.get_parameter(name)}
    with subspace(model, parameters, [batches[0].batch], extra={name: other}) as space:
        assert space.places[name].tolist() == sorted([*few.tolist(), *other.tolist()])
