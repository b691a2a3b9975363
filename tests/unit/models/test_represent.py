import pytest
import torch
from basket_batches import batch_of

from erase_ray.models import MODELS, Shape
from tests.conftest import LEARNING, make_model, planted

EVERY = pytest.mark.parametrize("model_name", LEARNING, indirect=True)


@EVERY
def test_one_vector_for_each_example(model, examples):
    index = torch.arange(0, 21, 3)
    model.eval()
    with torch.no_grad():
        vectors_BD = model.represent(examples.batch(index, 1))
        alone_1D = model.represent(examples.batch(index[2:3], 1))
    assert vectors_BD.shape == (7, vectors_BD.shape[1])
    assert vectors_BD.dtype == torch.float32
    assert torch.isfinite(vectors_BD).all()
    torch.testing.assert_close(alone_1D, vectors_BD[2:3])


@EVERY
def test_reads_no_target(model, examples):
    index = torch.arange(0, 21, 3)
    model.eval()
    with torch.no_grad():
        with_target = model.represent(examples.batch(index, 1))
        without = model.represent(examples.inputs(index))
    assert torch.equal(with_target, without)


@EVERY
def test_gradient_reaches_the_weights(model, examples):
    model.eval()
    vectors_BD = model.represent(examples.batch(torch.arange(0, 21, 3), 1))
    vectors_BD.square().sum().backward()
    tables = model.user_tables() or model.item_tables()
    assert any(t.grad is not None and bool(t.grad.any()) for t in tables.values())


@EVERY
def test_scores_compare_it_with_the_items(model, examples):
    """Where the output layer is an inner product with a table, and nothing else."""
    batch = examples.batch(torch.arange(0, 21, 3), 1)
    model.eval()
    with torch.no_grad():
        vectors_BD, scores_BI = model.represent(batch), model.scores(batch)
        if model.has_edges:
            compared_BI = vectors_BD @ model._propagated()[1].T
        elif model.name == "sets2sets":
            compared_BI = model.output(vectors_BD)
            owner_M = batch.owner_K[batch.basket_M]
            # the repeat gate moves the items of the history
            compared_BI[owner_M, batch.item_M] = scores_BI[owner_M, batch.item_M]
        elif model.name == "dnntsp":
            return
        else:
            compared_BI = vectors_BD @ model.item_embedding.weight.T
    torch.testing.assert_close(compared_BI, scores_BI, rtol=1e-4, atol=1e-5)


def test_mean_over_bought_items_by_hand():
    """dnntsp: two baskets {1} and {1, 2}: item 1 counts twice, item 2 once."""
    kind = MODELS.get("dnntsp")
    model = kind(kind.Settings(embedding_size=4, num_heads=2), Shape(1, 5))
    model.reset(torch.Generator().manual_seed(3))
    model.eval()
    batch = batch_of([[[1], [1, 2]], [[4]]], [[0], [0]])
    items_ID = model.item_embedding.weight
    with torch.no_grad():
        model.gate.zero_()
        by_hand = torch.stack([(2 * items_ID[1] + items_ID[2]) / 3, items_ID[4]])
        torch.testing.assert_close(model.represent(batch), by_hand)
        model.gate.fill_(1.0)
        assert not torch.allclose(model.represent(batch), by_hand)


def test_what_is_only_counted_has_none():
    data = planted("cf")
    model = make_model("pop", data)
    with pytest.raises(NotImplementedError, match="model 'pop' makes no vector to compare with"):
        model.represent(None)
