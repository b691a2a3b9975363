import math

import pytest
import torch
from model_checks import (
    check_autocast_keeps_float32,
    check_twice_differentiable,
    check_what_is_behind_means_nothing,
)
from torch import nn

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import WindowBatch


def make(items=7, width=3, hidden=4, dropout=0.0):
    cls = MODELS.get("gru4rec")
    settings = cls.Settings(embedding_size=width, hidden_size=hidden, dropout=dropout)
    model = cls(settings, Shape(2, items))
    model.reset(torch.Generator().manual_seed(1))
    return model


def batch():
    items = torch.tensor([[4, 1, 0, 0], [2, 6, 0, 5], [0, 0, 0, 0]])
    return WindowBatch(items, torch.tensor([2, 4, 1]), torch.tensor([3, 0, 6]))


def textbook(model, items):
    """Logits after a window, one step at a time with torch's cell."""
    cell = nn.GRUCell(3, 4, bias=False)
    cell.weight_ih, cell.weight_hh = model.gru.weight_ih_l0, model.gru.weight_hh_l0
    state = torch.zeros(1, 4, dtype=model.dense.weight.dtype)
    for item in items:
        state = cell(model.item_embedding.weight[item][None], state)
    return (model.dense(state) @ model.item_embedding.weight.T)[0]


def test_scores_are_those_of_the_textbook():
    model = make()
    windows = [[4, 1], [2, 6, 0, 5], [0]]
    expected = torch.stack([textbook(model, window) for window in windows])
    torch.testing.assert_close(model.scores(batch()), expected, rtol=1e-6, atol=1e-6)


def test_loss_is_cross_entropy_over_all_true_items():
    model = make()
    logits = model.scores(batch())
    assert logits.shape == (3, 7)
    expected = torch.logsumexp(logits, 1) - logits[torch.arange(3), batch().target_B]
    torch.testing.assert_close(model.loss(batch()), expected)


def test_gradients_are_those_of_the_textbook():
    model = make().double()
    logits = torch.stack([textbook(model, window) for window in ([4, 1], [2, 6, 0, 5], [0])])
    plain = nn.functional.cross_entropy(logits, batch().target_B)
    weights = list(model.parameters())
    theirs = torch.autograd.grad(plain, weights)
    ours = torch.autograd.grad(model.loss(batch()).mean(), weights)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-14)


def test_autocast_keeps_float32_results():
    check_autocast_keeps_float32(make(), batch(), {"rtol": 0, "atol": 2e-2})


def test_what_stands_behind_the_length_means_nothing():
    check_what_is_behind_means_nothing(make(), batch())


def test_scores_of_a_window_do_not_depend_on_its_neighbours():
    model = make()
    alone = WindowBatch(torch.tensor([[4, 1]]), torch.tensor([2]))
    torch.testing.assert_close(model.scores(alone)[0], model.scores(batch())[0])


def test_double_backward_of_all_parameters():
    model = make().double()
    check_twice_differentiable(model, batch())


def test_dropout_works_in_training_alone():
    model = make(dropout=0.5)
    assert not torch.equal(model.scores(batch()), model.scores(batch()))
    model.eval()
    assert torch.equal(model.scores(batch()), model.scores(batch()))


def test_sizes_without_padding_and_head():
    cls = MODELS.get("gru4rec")
    model = cls(cls.Settings(), Shape(5, 1682))
    assert sum(p.numel() for p in model.parameters()) == 64 * 1682 + 73_728 + 8_256
    assert model.max_history == 50
    assert list(model.head_parameters()) == ["item_embedding.weight", "dense.weight", "dense.bias"]
    named = dict(model.named_parameters())
    assert all(named[name] is weight for name, weight in model.head_parameters().items())


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("item_embedding.weight", math.sqrt(2 / 1064)),
        ("gru.weight_hh_l0", math.sqrt(2 / 512)),
        ("dense.weight", math.sqrt(1 / 128 / 3)),
    ],
)
def test_initial_spread(name, std):
    model = make(1000, 64, 128)
    assert abs(model.get_parameter(name).std().item() / std - 1) < 0.02


def test_training_defaults_are_those_of_the_benchmark():
    training = MODELS.get("gru4rec").training
    assert (training.epochs, training.batch_size, training.patience) == (100, 256, 10)
    assert (training.select_metric, training.select_k) == ("mrr", 10)
