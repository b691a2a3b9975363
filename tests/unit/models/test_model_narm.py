import math

import pytest
import torch
from model_checks import (
    check_autocast_keeps_float32,
    check_twice_differentiable,
    check_what_is_behind_means_nothing,
)
from torch.nn import functional

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import WindowBatch


def make(items=7, width=3, hidden=4, dropout=0.0, session_dropout=0.0):
    cls = MODELS.get("narm")
    settings = cls.Settings(
        embedding_size=width,
        hidden_size=hidden,
        dropout=dropout,
        session_dropout=session_dropout,
    )
    model = cls(settings, Shape(2, items))
    model.reset(torch.Generator().manual_seed(1))
    return model


def batch():
    items = torch.tensor([[4, 1, 0, 0], [2, 6, 0, 5], [0, 0, 0, 0]])
    return WindowBatch(items, torch.tensor([2, 4, 1]), torch.tensor([3, 0, 6]))


WINDOWS = [[4, 1], [2, 6, 0, 5], [0]]


def dot(left, right):
    return sum(a * b for a, b in zip(left, right, strict=True))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def textbook(model, window):
    """Scores after a window, number by number."""
    lists = {name: weight.tolist() for name, weight in model.named_parameters()}
    by_input, by_state = lists["gru.weight_ih_l0"], lists["gru.weight_hh_l0"]
    items, hidden = lists["item_embedding.weight"], len(by_state[0])
    states, state = [], [0.0] * hidden
    for item in window:
        after = []
        for h in range(hidden):
            outer = [dot(by_input[gate * hidden + h], items[item]) for gate in range(3)]
            inner = [dot(by_state[gate * hidden + h], state) for gate in range(3)]
            reset, update = (sigmoid(outer[gate] + inner[gate]) for gate in range(2))
            new = math.tanh(outer[2] + reset * inner[2])
            after.append((1 - update) * new + update * state[h])
        state = after
        states.append(state)
    mixed = [0.0] * hidden
    for earlier in states:
        gates = [
            sigmoid(dot(first, earlier) + dot(second, state))
            for first, second in zip(lists["a_1.weight"], lists["a_2.weight"], strict=True)
        ]
        share = dot(lists["v.weight"][0], gates)
        mixed = [m + share * e for m, e in zip(mixed, earlier, strict=True)]
    session = [dot(row, mixed + state) for row in lists["b.weight"]]
    return [dot(session, vector) for vector in items]


def test_scores_are_those_of_the_textbook():
    model = make().double()
    expected = torch.tensor([textbook(model, window) for window in WINDOWS], dtype=torch.float64)
    torch.testing.assert_close(model.scores(batch()), expected, rtol=1e-12, atol=1e-14)


def test_loss_is_cross_entropy_over_all_true_items():
    model = make().double()
    logits = torch.tensor([textbook(model, window) for window in WINDOWS], dtype=torch.float64)
    expected = functional.cross_entropy(logits, batch().target_B, reduction="none")
    torch.testing.assert_close(model.loss(batch()), expected, rtol=1e-12, atol=1e-14)


def test_numbers_by_hand():
    """New gates tanh(ln 3) = 0.8 and tanh(ln 2) = 0.6, half of which is taken over each time.

    States 0.4 and 0.5; weights 3 sigmoid(0) and 3 sigmoid(ln 2); their sum 1.6; session 0.5.
    """
    model = make(items=2, width=1, hidden=1).double()
    log_2, log_3 = math.log(2), math.log(3)
    values = {
        "item_embedding.weight": [[log_3], [log_2]],
        "gru.weight_ih_l0": [[0.0], [0.0], [1.0]],
        "gru.weight_hh_l0": [[0.0], [0.0], [0.0]],
        "a_1.weight": [[10 * log_2]],
        "a_2.weight": [[-8 * log_2]],
        "v.weight": [[3.0]],
        "b.weight": [[0.5, -0.6]],
    }
    model.load_state_dict({name: torch.tensor(v).double() for name, v in values.items()})
    window = WindowBatch(torch.tensor([[0, 1]]), torch.tensor([2]), torch.tensor([0]))
    assert model.scores(window).tolist()[0] == pytest.approx([log_3 / 2, log_2 / 2], rel=1e-6)
    assert model.loss(window).item() == pytest.approx(math.log1p(math.sqrt(2 / 3)), rel=1e-6)


def test_what_stands_behind_the_length_means_nothing():
    check_what_is_behind_means_nothing(make(), batch())


def test_scores_and_gradient_of_a_window_do_not_depend_on_its_neighbours():
    model = make().double()
    alone = WindowBatch(torch.tensor([[4, 1]]), torch.tensor([2]), torch.tensor([3]))
    torch.testing.assert_close(model.scores(alone)[0], model.scores(batch())[0])
    ours, theirs = (
        torch.autograd.grad(model.loss(b)[0], list(model.parameters())) for b in (alone, batch())
    )
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_double_backward_of_all_parameters():
    model = make(items=5, width=2, hidden=2).double()
    items = torch.tensor([[4, 1], [2, 0], [0, 0]])
    windows = WindowBatch(items, torch.tensor([2, 2, 1]), torch.tensor([3, 0, 2]))

    check_twice_differentiable(model, windows)


@pytest.mark.parametrize("place", ["dropout", "session_dropout"])
def test_dropout_works_in_training_alone(place):
    torch.manual_seed(0)
    model = make(**{place: 0.5})
    assert not torch.equal(model.scores(batch()), model.scores(batch()))
    model.eval()
    assert torch.equal(model.scores(batch()), model.scores(batch()))


def test_autocast_keeps_float32_results():
    check_autocast_keeps_float32(make(), batch(), {"rtol": 0, "atol": 2e-2})


def test_sizes_without_padding_and_head():
    cls = MODELS.get("narm")
    model = cls(cls.Settings(), Shape(5, 1682))
    assert sum(p.numel() for p in model.parameters()) == 64 * 1682 + 49_200 + 20_100 + 12_800
    assert model.max_history == 50
    assert list(model.head_parameters()) == ["item_embedding.weight", "b.weight"]
    assert list(model.item_tables()) == ["item_embedding.weight"]
    named = dict(model.named_parameters())
    assert all(named[name] is weight for name, weight in model.head_parameters().items())


@pytest.mark.parametrize(
    ("name", "std"),
    [
        ("item_embedding.weight", math.sqrt(2 / 1064)),
        ("gru.weight_ih_l0", 0.1 / math.sqrt(3)),
        ("gru.weight_hh_l0", 0.1 / math.sqrt(3)),
        ("a_1.weight", 0.1),
        ("a_2.weight", 0.1),
        ("b.weight", math.sqrt(2 / 264)),
    ],
)
def test_initial_spread(name, std):
    model = make(1000, 64, 100)
    assert abs(model.get_parameter(name).std().item() / std - 1) < 0.02


def test_training_defaults_are_those_of_the_benchmark():
    cls = MODELS.get("narm")
    training, settings = cls.training, cls.Settings()
    assert (training.epochs, training.batch_size, training.patience) == (30, 256, 10)
    assert (training.select_metric, training.select_k) == ("mrr", 10)
    assert (settings.embedding_size, settings.hidden_size, settings.max_length) == (64, 100, 50)
    assert (settings.dropout, settings.session_dropout) == (0.25, 0.5)
