import math
from itertools import pairwise

import pytest
import torch
from model_checks import check_autocast_keeps_float32, check_twice_differentiable

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import WindowBatch

WINDOWS = ([5, 2, 5, 3], [4, 1], [0], [6, 6, 6], [2, 3, 2, 3, 0])


def make(items=7, width=3, num_steps=1):
    cls = MODELS.get("srgnn")
    model = cls(cls.Settings(embedding_size=width, num_steps=num_steps), Shape(2, items))
    model.reset(torch.Generator().manual_seed(1))
    return model.double()


def batch(windows=WINDOWS, filler=0, num_items=7):
    longest = max(len(window) for window in windows)
    rows = [window + [filler] * (longest - len(window)) for window in windows]
    lengths = [len(window) for window in windows]
    sizes = tuple(sum(n > step for n in lengths) for step in range(longest))
    targets = (torch.arange(len(windows)) + 2) % num_items
    return WindowBatch(torch.tensor(rows), torch.tensor(lengths), targets, sizes=sizes)


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def dense(layer, row):
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    weight = layer.weight.tolist()
    return [dot(line, row) + b for line, b in zip(weight, bias, strict=True)]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def added(*rows):
    return [sum(column) for column in zip(*rows, strict=True)]


def messages(step, states, edges, node):
    """What a node hears along edges that reach it and along edges that leave it."""
    before = [u for u, v in edges if v == node]
    after = [v for u, v in edges if u == node]
    heard = []
    for layer, others, bias in (
        (step.incoming, before, step.bias_in),
        (step.outgoing, after, step.bias_out),
    ):
        rows = [dense(layer, states[other]) for other in others]
        mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        heard += added(mean or [0.0] * len(states[node]), bias.tolist())
    return heard


def stepped(step, states, edges):
    """The states of all nodes after one gated step."""
    width, result = len(next(iter(states.values()))), {}
    for node, old in states.items():
        inputs = dense(step.input_gates, messages(step, states, edges, node))
        inner = dense(step.state_gates, old)
        for d in range(width):
            reset = sigmoid(inputs[d] + inner[d])
            update = sigmoid(inputs[width + d] + inner[width + d])
            new = math.tanh(inputs[2 * width + d] + reset * inner[2 * width + d])
            result.setdefault(node, []).append((1 - update) * old[d] + update * new)
    return result


def textbook(model, window, padding=()):
    """Logits after a window, node by node; ``padding`` are nodes without edges and events."""
    items = model.item_embedding.weight.tolist()
    edges = set(pairwise(window))
    states = {item: items[item] for item in [*window, *padding]}
    for _ in range(model.settings.num_steps):
        states = stepped(model.gated_step, states, edges)
    last, total = states[window[-1]], [0.0] * len(items[0])
    for item in window:
        pair = added(dense(model.attend_last, last), dense(model.attend_each, states[item]))
        weight = dot(model.attend.weight.tolist()[0], [sigmoid(x) for x in pair])
        total = added(total, [weight * x for x in states[item]])
    session = dense(model.dense, total + last)
    return [dot(session, item) for item in items]


@pytest.mark.parametrize("num_steps", [1, 2])
@pytest.mark.parametrize("items", [7, 40])
def test_scores_are_those_of_the_textbook(items, num_steps):
    """With 7 items the catalogue is smaller than the number of nodes, with 40 it is larger."""
    model = make(items, num_steps=num_steps)
    expected = torch.tensor([textbook(model, w) for w in WINDOWS], dtype=torch.float64)
    torch.testing.assert_close(model.scores(batch()), expected, rtol=1e-10, atol=1e-10)


def test_a_padding_node_would_change_nothing():
    model = make()
    expected = torch.tensor([textbook(model, w, padding=[1]) for w in WINDOWS[2:]])
    torch.testing.assert_close(
        model.scores(batch(WINDOWS[2:])), expected.double(), rtol=1e-6, atol=1e-7
    )


def test_loss_is_cross_entropy_over_all_true_items():
    model = make()
    logits = model.scores(batch())
    assert logits.shape == (5, 7)
    expected = torch.logsumexp(logits, 1) - logits[torch.arange(5), batch().target_B]
    torch.testing.assert_close(model.loss(batch()), expected)


def test_what_stands_behind_the_length_means_nothing():
    model = make()
    pair = (batch(filler=0), batch(filler=5))
    assert torch.equal(*(model.scores(b) for b in pair))
    grads = [torch.autograd.grad(model.loss(b).sum(), list(model.parameters())) for b in pair]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("items", [7, 40])
def test_scores_of_a_window_do_not_depend_on_its_neighbours(items):
    model = make(items)
    alone = torch.cat([model.scores(batch([window])) for window in WINDOWS])
    torch.testing.assert_close(alone, model.scores(batch()), rtol=1e-12, atol=1e-12)


def test_sizes_are_asked_for_when_they_are_not_given():
    model, known = make(), batch()
    asked = WindowBatch(known.items_BL, known.length_B)
    assert torch.equal(model.scores(asked), model.scores(known))


@pytest.mark.parametrize("items", [4, 9])
def test_double_backward_of_all_parameters(items):
    model = make(items=items, width=2)
    small = batch([[3, 1, 3, 0], [2]], num_items=items)

    check_twice_differentiable(model, small)


@pytest.mark.parametrize("items", [7, 40])
def test_loss_under_autocast_is_close_and_float32(items):
    model = make(items).float()
    check_autocast_keeps_float32(model, batch(), {"rtol": 0.02, "atol": 0.02})


def test_sizes_without_padding_and_head():
    cls = MODELS.get("srgnn")
    model = cls(cls.Settings(), Shape(5, 1682))
    step = 2 * (100 * 100 + 100) + 200 + (300 * 200 + 300) + (300 * 100 + 300)
    read_out = 2 * (100 * 100 + 100) + 100 + (200 * 100 + 100)
    assert sum(p.numel() for p in model.parameters()) == 100 * 1682 + step + read_out
    assert model.max_history == 50
    assert list(model.head_parameters()) == ["item_embedding.weight", "dense.weight", "dense.bias"]
    assert list(model.item_tables()) == ["item_embedding.weight"]


def test_all_weights_start_uniform():
    model = make(1000, width=64)
    for weight in model.parameters():
        assert weight.abs().max() <= 0.125
        if weight.numel() > 1000:
            assert abs(weight.std().item() * math.sqrt(3) / 0.125 - 1) < 0.03
    assert model.gated_step.bias_in.abs().max() > 0.05


def test_training_defaults_are_those_of_the_benchmark():
    training = MODELS.get("srgnn").training
    assert (training.epochs, training.batch_size, training.patience) == (30, 256, 10)
    assert (training.select_metric, training.select_k) == ("mrr", 10)
    assert (training.decay_every, training.decay_factor, training.weight_decay) == (3, 0.1, 1e-5)
    assert MODELS.get("srgnn").Settings().embedding_size == 100
