import math

import torch

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import PairBatch


def make(users=3, items=4, size=2):
    cls = MODELS.get("bpr")
    model = cls(cls.Settings(embedding_size=size), Shape(users, items))
    model.reset(torch.Generator().manual_seed(1))
    return model


def test_loss_and_scores_by_hand():
    model = make(1, 2)
    with torch.no_grad():
        model.user_embedding.weight.copy_(torch.tensor([[1.0, 2.0]]))
        model.item_embedding.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    zero = torch.zeros(1, dtype=torch.int64)
    batch = PairBatch(zero, zero, zero + 1)
    assert model.scores(batch).tolist() == [[3.0, 2.0]]
    expected = -math.log(1 / (1 + math.exp(-1.0)))
    torch.testing.assert_close(model.loss(batch), torch.tensor([expected]))


def test_a_hopeless_pair_keeps_its_gradient():
    model = make(1, 2, 1)
    with torch.no_grad():
        model.user_embedding.weight.fill_(100.0)
        model.item_embedding.weight.copy_(torch.tensor([[-5.0], [5.0]]))
    zero = torch.zeros(1, dtype=torch.int64)
    loss = model.loss(PairBatch(zero, zero, zero + 1))
    assert loss.item() == 1000.0
    loss.sum().backward()
    assert model.item_embedding.weight.grad.tolist() == [[-100.0], [100.0]]


def test_tables_have_one_row_each_and_no_padding():
    model = make(3, 4, 64)
    assert model.user_tables()["user_embedding.weight"].shape == (3, 64)
    assert model.item_tables()["item_embedding.weight"].shape == (4, 64)
    assert list(model.head_parameters()) == ["user_embedding.weight"]


def test_initial_weights_are_xavier_normal_and_come_from_the_generator():
    model, again = make(3000, 1000, 64), make(3000, 1000, 64)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
        expected = math.sqrt(2 / sum(weight.shape))
        assert abs(weight.std().item() / expected - 1) < 0.02
        assert abs(weight.mean().item()) < expected / 50


def test_training_defaults_are_those_of_the_benchmark():
    training = MODELS.get("bpr").training
    assert (training.epochs, training.batch_size, training.patience) == (100, 2048, 10)
    assert (training.select_metric, training.select_k) == ("recall", 20)
    assert training.learning_rate == 1e-3
