import copy
from fractions import Fraction

import pytest
import torch
from basket_batches import batch_of, golden, load, some_users
from model_checks import check_twice_differentiable

from erase_ray.models import MODELS, Shape
from erase_ray.models._adam import Adam

NUM_ITEMS = 7
HISTORIES = [[[0, 2], [2, 3, 5]], [[6]], [[1], [1, 4], [0], [1, 2, 6]]]
TARGETS = [[2, 4], [6], [0, 1, 3]]


def make(width=3, max_history=5):
    cls = MODELS.get("sets2sets")
    model = cls(cls.Settings(embedding_size=width, max_history=max_history), Shape(9, NUM_ITEMS))
    model.reset(torch.Generator().manual_seed(1))
    with torch.no_grad():  # biases start at 0, which would hide a mistake
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)) / 3)
    model.item_weights_I.copy_(torch.arange(NUM_ITEMS) + 0.5)
    return model


def batch(*users):
    users = users or range(len(HISTORIES))
    return batch_of([HISTORIES[user] for user in users], [TARGETS[user] for user in users])


def step_of(cell, prefix, inputs, state):
    """One step of a GRU; gates in the order reset, update, new."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weight_in, weight, bias_in, bias = (getattr(cell, name + prefix) for name in names)
    from_input = (weight_in @ inputs + bias_in).chunk(3)
    from_state = (weight @ state + bias).chunk(3)
    reset = torch.sigmoid(from_input[0] + from_state[0])
    update = torch.sigmoid(from_input[1] + from_state[1])
    new = torch.tanh(from_input[2] + reset * from_state[2])
    return (1 - update) * new + update * state


def textbook_parts(model, history):
    """All that lies between one user's history and probabilities, one basket at a time."""
    num, items = len(history), model.shape.num_items
    zeros = torch.zeros_like(model.encoder_embedding.weight[0])
    states = [zeros]
    for basket in history:
        vector = sum((model.encoder_embedding.weight[item] for item in basket), zeros)
        states.append(step_of(model.encoder, "_l0", vector, states[-1]))
    latest = sum((model.decoder_embedding.weight[item] for item in history[-1]), zeros)
    energy = model.attention(torch.cat([latest, states[-1]]))[:num]
    shares = torch.softmax(energy, 0)
    context = sum(share * state for share, state in zip(shares, states[1:], strict=True))
    mixed = torch.relu(model.combine(torch.cat([latest, context])))
    state = step_of(model.decoder, "", mixed, states[-1])
    logits = model.output(state)
    often = zeros.new_tensor([sum(i in basket for basket in history) for i in range(items)]) / num
    gates = torch.sigmoid(model.gate.weight @ often + model.gate_bias)
    seen = (often > 0).to(often.dtype)
    moved = logits * (1 - seen * gates) + often * gates
    return {
        "states": torch.stack(states[1:]),
        "shares": shares,
        "context": context,
        "state": state,
        "logits": logits,
        "frequencies": often,
        "gates": gates[seen > 0],
        "mixed": moved,
    }


def textbook(model, history):
    """Probabilities for one user."""
    return torch.softmax(textbook_parts(model, history)["mixed"], 0)


def textbook_loss(model, history, target):
    probability = textbook(model, history)
    wanted = torch.zeros_like(probability)
    wanted[target] = 1
    return (model.item_weights_I * (probability - wanted) ** 2).sum()


def textbook_losses(model, histories, targets):
    pairs = zip(histories, targets, strict=True)
    return torch.stack([textbook_loss(model, history, target) for history, target in pairs])


def numbers(value):
    """Fractions, bare or under ``values`` or ``value``."""
    value = value.get("values", value.get("value")) if isinstance(value, dict) else value
    texts = value if isinstance(value, list) else [value]
    return torch.tensor([float(Fraction(text)) for text in texts], dtype=torch.float64)


def by_hand():
    case = golden("sets2sets")
    cls = MODELS.get("sets2sets")
    model = cls(cls.Settings(**case["settings"]), Shape(1, case["num_items"])).double()
    load(model, case["weights"])
    return case, model


def test_textbook_passes_the_case_by_hand():
    case, model = by_hand()
    parts = textbook_parts(model, case["history"])
    for name, found in parts.items():
        torch.testing.assert_close(found.flatten(), numbers(case[name]), rtol=0, atol=1e-12)


def test_scores_and_loss_are_those_by_hand():
    case, model = by_hand()
    one = batch_of([case["history"]], [case["target"]])
    mixed = numbers(case["mixed"])
    torch.testing.assert_close(model.scores(one)[0], mixed, rtol=0, atol=1e-12)
    probability = mixed.exp() / mixed.exp().sum()
    wanted = torch.tensor([0, 1, 0, 1])
    expected = (torch.tensor([1, 2, 3, 4]) * (probability - wanted) ** 2).sum()
    torch.testing.assert_close(model.loss(one)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("users", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_losses_and_gradients_are_those_of_the_textbook_in_float64(users, training):
    model = make().double().train(training)
    found = model.loss(batch(*users))
    histories, targets = ([every[user] for user in users] for every in (HISTORIES, TARGETS))
    expected = textbook_losses(model, histories, targets)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    weights = list(model.parameters())
    pairs = zip(
        torch.autograd.grad(found.sum(), weights),
        torch.autograd.grad(expected.sum(), weights),
        strict=True,
    )
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)
        assert len(users) < 3 or theirs.abs().max() > 1e-6


def twenty_steps(users, package, size=1):
    """Weights after Adam here and after dense Adam on the textbook's loss."""
    model = make().double().train()
    other = copy.deepcopy(model)
    mine = Adam(model, 1e-2) if package else torch.optim.Adam(model.parameters(), lr=1e-2)
    theirs = torch.optim.Adam(other.parameters(), lr=1e-2)
    for step in range(20):
        histories, targets = (x[step * size : step * size + size] for x in users)
        mine.zero_grad()
        model.loss(batch_of(histories, targets)).mean().backward()
        mine.step()
        theirs.zero_grad()
        textbook_losses(other, histories, targets).mean().backward()
        theirs.step()
    return model, other


def assert_same_and_moved(model, other):
    start = make().double()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, other.get_parameter(name), rtol=0, atol=1e-6)
        assert (weight - start.get_parameter(name)).abs().max() > 1e-2


@pytest.mark.parametrize("size", [1, 2])
def test_twenty_steps_of_dense_adam_end_in_the_same_weights(size):
    users = some_users(20 * size, NUM_ITEMS, 5, seed=8)
    assert_same_and_moved(*twenty_steps(users, package=False, size=size))


def test_twenty_steps_of_the_packages_adam_do_so_where_all_items_are_in_all_histories():
    histories, targets = some_users(20, NUM_ITEMS, 4, seed=9)
    histories = [[*history, list(range(NUM_ITEMS))] for history in histories]
    assert_same_and_moved(*twenty_steps((histories, targets), package=True))


def test_the_packages_adam_leaves_alone_what_no_history_holds():
    """The stated difference from dense Adam: no drift of entries that a step does not read."""
    histories, targets = some_users(20, NUM_ITEMS, 2, seed=10)
    few = [[[item for item in basket if item < 5] or [0] for basket in h] for h in histories]
    histories = [*few[:10], *([[[5, 6]]] * 10)]
    model, other = twenty_steps((histories, targets), package=True)
    read = torch.zeros(NUM_ITEMS, NUM_ITEMS, dtype=torch.bool)
    for history in histories:
        items = sorted({item for basket in history for item in basket})
        read[torch.tensor(items)[:, None], torch.tensor(items)] = True
    assert not read.all()
    assert torch.equal(model.gate.weight[~read], make().double().gate.weight[~read])
    assert not torch.allclose(model.gate.weight, other.gate.weight, rtol=0, atol=1e-4)


def test_probabilities_are_those_of_the_textbook():
    model = make()
    expected = torch.stack([textbook(model, history) for history in HISTORIES])
    found = torch.softmax(model.scores(batch()), 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for user in range(len(HISTORIES)):
        found = torch.softmax(model.scores(batch(user)), 1)[0]
        torch.testing.assert_close(found, expected[user], rtol=0, atol=1e-6)


def test_loss_and_gradients_are_those_of_the_textbook():
    model = make()
    expected = torch.stack(
        [textbook_loss(model, h, t) for h, t in zip(HISTORIES, TARGETS, strict=True)]
    )
    found = model.loss(batch())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    weights = list(model.parameters())
    pairs = zip(
        torch.autograd.grad(found.sum(), weights),
        torch.autograd.grad(expected.sum(), weights),
        strict=True,
    )
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_double_backward_of_the_head_with_the_rest_frozen():
    model = make().double()
    model.requires_grad_(False)

    check_twice_differentiable(model, batch(), model.head_parameters())


def test_double_backward_of_everything():
    cls = MODELS.get("sets2sets")
    model = cls(cls.Settings(embedding_size=2, max_history=3), Shape(9, 4)).double()
    rng = torch.Generator().manual_seed(1)
    model.requires_grad_(False)
    for weight in model.parameters():
        weight.copy_(torch.randn(weight.shape, generator=rng) / 2)
    one = batch_of([[[0, 2], [2, 3], [0]]], [[1, 2]])

    check_twice_differentiable(model, one)


class Histories:
    """Stands for training examples."""

    def __len__(self):
        return len(HISTORIES)

    def inputs(self, index):
        return batch(*index.tolist())


def test_item_weights_count_histories_alone():
    model = make()
    model.prepare(Histories())
    # items 0..6 occur 2, 3, 3, 1, 1, 1, 2 times; targets do not count
    expected = [3 / 2, 1, 1, 3, 3, 3, 3 / 2]
    torch.testing.assert_close(model.item_weights_I, torch.tensor(expected))
    assert "item_weights_I" in model.state_dict()


def test_item_that_no_history_holds_weighs_nothing():
    cls = MODELS.get("sets2sets")
    model = cls(cls.Settings(), Shape(9, NUM_ITEMS + 1))
    model.prepare(Histories())
    assert model.item_weights_I[NUM_ITEMS] == 0


def test_reset_forgets_item_weights_and_repeats_itself():
    model, again = make(), make()
    for each in (model, again):
        each.reset(torch.Generator().manual_seed(8))
    assert torch.equal(model.item_weights_I, torch.ones(NUM_ITEMS))
    for name, weight in model.named_parameters():
        assert torch.equal(weight, again.get_parameter(name))
        assert ("bias" in name) == bool((weight == 0).all())


def test_head_and_item_tables_are_named_as_the_module_names_them():
    model = make()
    named = dict(model.named_parameters())
    assert list(model.head_parameters()) == ["output.weight", "output.bias", "gate_bias"]
    for name, weight in (model.head_parameters() | model.item_tables()).items():
        assert named[name] is weight
    assert all(weight.shape[0] == NUM_ITEMS for weight in model.item_tables().values())


def test_defaults_are_those_of_the_benchmark():
    cls = MODELS.get("sets2sets")
    assert cls(cls.Settings(), Shape(1, 2)).max_history == 98
    assert (cls.training.epochs, cls.training.batch_size, cls.training.patience) == (20, 1, 100)
    assert (cls.training.select_metric, cls.training.select_k) == ("recall", 10)


def test_item_weights_can_be_switched_off():
    cls = MODELS.get("sets2sets")
    model = cls(cls.Settings(item_weights="none"), Shape(9, NUM_ITEMS + 1))
    model.prepare(Histories())
    assert torch.equal(model.item_weights_I, torch.ones(NUM_ITEMS + 1))
