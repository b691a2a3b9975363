import torch
from torch import nn

from erase_ray.models import MODELS, Shape
from erase_ray.tasks._batches import BasketBatch

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
    baskets = [(b, basket) for b, user in enumerate(users) for basket in HISTORIES[user]]
    targets = [(b, item) for b, user in enumerate(users) for item in TARGETS[user]]
    return BasketBatch(
        item_M=torch.tensor([item for _, basket in baskets for item in basket]),
        basket_M=torch.tensor([k for k, (_, basket) in enumerate(baskets) for _ in basket]),
        owner_K=torch.tensor([b for b, _ in baskets]),
        num_baskets_B=torch.tensor([len(HISTORIES[user]) for user in users]),
        target_T=torch.tensor([item for _, item in targets]),
        target_owner_T=torch.tensor([b for b, _ in targets]),
    )


def textbook(model, history):
    """Probabilities for one user, with the full gate table and one step at a time."""
    num = len(history)
    cell = nn.GRUCell(3, 3)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(model.encoder, f"{name}_l0"))
    state, states = torch.zeros(1, 3), []
    for basket in history:
        state = cell(model.encoder_embedding.weight[basket].sum(0)[None], state)
        states.append(state[0])
    latest = model.decoder_embedding.weight[history[-1]].sum(0)
    energy = model.attention(torch.cat([latest, state[0]]))[:num]
    context = torch.softmax(energy, 0) @ torch.stack(states)
    mixed = torch.relu(model.combine(torch.cat([latest, context])))
    logits = model.output(model.decoder(mixed[None], state))[0]
    share = torch.zeros(NUM_ITEMS)
    for basket in history:
        share[basket] += 1 / num
    gate = torch.sigmoid(model.gate.weight @ share + model.gate_bias)
    seen = (share > 0).float()
    return torch.softmax(logits * (1 - seen * gate) + share * gate, 0)


def textbook_loss(model, history, target):
    probability = textbook(model, history)
    wanted = torch.zeros(NUM_ITEMS)
    wanted[target] = 1
    return (model.item_weights_I * (probability - wanted) ** 2).sum()


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
    names = list(model.head_parameters())
    model.forward = model.loss

    def loss(*weights):
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, named, (batch(),))

    values = tuple(w.detach().clone().requires_grad_() for w in model.head_parameters().values())
    assert torch.autograd.gradcheck(loss, values)
    assert torch.autograd.gradgradcheck(loss, values)


def test_double_backward_of_everything():
    model = make().double()
    names = [name for name, _ in model.named_parameters()]
    model.forward = model.loss

    def loss(*weights):
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, named, (batch(2),))

    values = tuple(weight.detach().clone().requires_grad_() for weight in model.parameters())
    assert torch.autograd.gradgradcheck(loss, values)


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
