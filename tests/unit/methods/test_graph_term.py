import pytest
import torch
from method_toys import (
    PairTask,
    StepModel,
    StepTask,
    UserModel,
    fresh,
    toy_request,
    toy_table,
    toy_world,
)

from erase_ray.methods._curvature import Weighted, gradient_sum, smooth, weighted_batches
from erase_ray.methods._graph_term import (
    GraphBatches,
    graph_batches,
    graph_term,
    without_edges,
)
from erase_ray.models import Shape
from erase_ray.models.lightgcn import LightGcn
from erase_ray.models.sgl import Sgl

TABLE = toy_table()
GRAPH_MODELS = [LightGcn, Sgl]


def graph_model(kind=LightGcn, forgotten=()):
    """In double precision, with the edges of all rows that are left."""
    model = kind(kind.Settings(embedding_size=3), Shape(TABLE.num_users, TABLE.num_items))
    model.reset(torch.Generator().manual_seed(5))
    left = TABLE.without(forgotten)
    model.set_edges(torch.as_tensor(left.user).long(), torch.as_tensor(left.item).long())
    return model.double()


def request_for(rows=(12, 15), **options):
    return toy_request(toy_world(PairTask(), TABLE), rows, **options)


def of_all(model, examples, seed=7):
    """The gradient of the sum of the losses."""
    batches = weighted_batches(examples, 1.0, 4096, seed)
    return gradient_sum(model, list(model.parameters()), batches)


@pytest.mark.parametrize("kind", GRAPH_MODELS)
@pytest.mark.parametrize(("forgotten", "asked"), [((), ()), ((3, 40, 41), (0, 4))])
def test_is_the_change_of_the_gradient_of_all_that_stays(kind, forgotten, asked):
    model = graph_model(kind, forgotten)
    request = request_for(forgotten=forgotten, asked=asked)
    stay = request.world.task.examples(request.after, request.world.split, request.world.cut)
    assert len(stay) == len(TABLE) - len(forgotten) - 2
    with smooth(model):
        term = graph_term(model, list(model.parameters()), request, graph_batches(model, request))
        expected = of_all(model, stay)
        model.drop_edges(*request.edges)
        expected -= of_all(model, stay)
    assert expected.norm() > 0.01
    torch.testing.assert_close(term.gradient, expected, rtol=1e-9, atol=1e-12)
    assert (term.num_gradients, term.trust) == (4, 1.0)


@pytest.mark.parametrize("kind", GRAPH_MODELS)
def test_with_the_forgotten_gradient_it_is_the_change_of_the_whole_objective(kind):
    """Σ_all ∇ℓ(G) − Σ_left ∇ℓ(G′) is what a retrained model is at rest without."""
    model, request = graph_model(kind), request_for()
    world, leaves = request.world, list(model.parameters())
    with smooth(model):
        term = graph_term(model, leaves, request, graph_batches(model, request))
        found = of_all(model, request.forget) + term.gradient
        expected = of_all(model, world.examples)
        left = world.task.examples(request.after, world.split, world.cut)
        with without_edges(model, request):
            expected -= of_all(model, left)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "task"), [(UserModel, PairTask), (StepModel, StepTask)])
def test_models_without_edges_have_no_such_term(kind, task):
    model, request = fresh(kind, TABLE), toy_request(toy_world(task(), TABLE), (12,))
    batches = graph_batches(model, request)
    assert list(batches) == []
    term = graph_term(model, list(model.parameters()), request, batches)
    assert not term.gradient.any()
    assert (term.num_gradients, term.trust) == (0, 1.0)
    with without_edges(model, request):
        pass  # nothing to take away, and no complaint


def test_examples_that_the_request_changes_are_left_to_others():
    """Cleaned examples are new: what they add is a gradient of their own, not a difference."""
    model = graph_model()
    request = toy_request(toy_world(StepTask(), TABLE), (12, 15))
    assert len(request.cleaned) == 2
    own, others = graph_batches(model, request).own, graph_batches(model, request).others
    assert sum(len(one.batch.target_B) for one in own) == len(request.kept) - 2
    everybody = len(request.world.examples) - len(request.forget)
    assert sum(len(one.batch.target_B) for one in others[0]) == everybody - len(request.kept) + 2


def test_edges_are_away_inside_and_back_afterwards():
    model, request = graph_model(), request_for()
    before, degrees = model.graph.weight.clone(), model.graph.degree.clone()
    with without_edges(model, request):
        assert model.graph.degree.sum() == degrees.sum() - 4
    assert torch.equal(model.graph.weight, before)
    assert torch.equal(model.graph.degree, degrees)


def test_edges_are_back_after_an_error():
    model, request = graph_model(), request_for()
    before, calls, loss = model.graph.weight.clone(), [], model.loss

    def failing(batch):
        calls.append(batch)
        if not torch.equal(model.graph.weight, before):
            raise RuntimeError("no memory")
        return loss(batch)

    model.loss = failing
    batches = graph_batches(model, request)
    with pytest.raises(RuntimeError, match="no memory"):
        graph_term(model, list(model.parameters()), request, batches)
    assert len(calls) == 2
    assert torch.equal(model.graph.weight, before)


def test_own_examples_are_never_sampled():
    model, request = graph_model(), request_for()
    for most in (0, 20, 1000):
        own = graph_batches(model, request, most).own
        assert [one.weight for one in own] == [1.0]
        assert sorted(own[0].batch.item_B.tolist()) == sorted(request.kept.items.tolist())
    assert graph_batches(model, request, 0).others == []


def test_more_draws_of_own_negatives_share_the_weight():
    model, request = graph_model(), request_for()
    own = graph_batches(model, request, 0, num_draws=4).own
    assert {one.weight for one in own} == {0.25}
    negatives = torch.cat([one.batch.negative_B for one in own]).view(4, -1)
    assert negatives.shape == (4, len(request.kept))
    assert not torch.equal(negatives[0], negatives[1])


@pytest.mark.parametrize(("most", "size"), [(20, 10), (41, 20), (98, 49)])
def test_two_distinct_samples_each_stand_for_all_others(most, size):
    model, request = graph_model(), request_for()
    num_others = len(TABLE) - 9
    first, second = graph_batches(model, request, most).others
    pairs = []
    for (one,) in (first, second):
        assert one.weight == pytest.approx(num_others / size)
        assert 1 not in one.batch.user_B
        pairs += zip(one.batch.user_B.tolist(), one.batch.item_B.tolist(), strict=True)
    assert len(set(pairs)) == 2 * size
    again = graph_batches(model, request, most).others[0]
    assert torch.equal(again[0].batch.item_B, first[0].batch.item_B)
    assert len(graph_batches(model, request, num_others).others) == 1


def test_samples_are_trusted_as_far_as_they_agree():
    model, request = graph_model(), request_for()
    leaves = list(model.parameters())
    (full,) = graph_batches(model, request).others
    opposite = [Weighted(one.batch, -one.weight) for one in full]
    with smooth(model):
        whole = graph_term(model, leaves, request, GraphBatches(others=[full])).gradient
        same = graph_term(model, leaves, request, GraphBatches(others=[full, full]))
        none = graph_term(model, leaves, request, GraphBatches(others=[full, opposite]))
        mixed = graph_term(model, leaves, request, graph_batches(model, request, 60))
    assert whole.norm() > 0.01
    assert same.trust == pytest.approx(1.0)
    torch.testing.assert_close(same.gradient, whole)
    assert none.trust == 0.0
    assert not none.gradient.any()
    assert 0 <= mixed.trust < 1


def test_an_untrusted_part_is_shrunk():
    model, request = graph_model(), request_for()
    leaves = list(model.parameters())
    (full,) = graph_batches(model, request).others
    triple = [Weighted(one.batch, 3 * one.weight) for one in full]
    with smooth(model):
        whole = graph_term(model, leaves, request, GraphBatches(others=[full])).gradient
        term = graph_term(model, leaves, request, GraphBatches(others=[full, triple]))
    # parts g and 3 g: their product is 3, the square of their mean 4
    assert term.trust == pytest.approx(0.75)
    torch.testing.assert_close(term.gradient, 0.75 * 2 * whole)
