"""Going on with training from the weights that are there."""

import pytest
import torch

from erase_ray import seeds
from erase_ray.errors import TrainingError
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train, train_epochs, training_edges
from tests.conftest import CPU, LEARNING, make_model, planted

SETTINGS = TrainingSettings(epochs=2, batch_size=64, learning_rate=5e-3)


def prepared(name):
    """A model with edges and new weights for seed 3, and its training examples."""
    data = planted(MODELS.get(name).task, num_users=100)
    model = make_model(name, data)
    examples = TASKS.get(data.task)().examples(
        data.interactions, data.split, Cut(model.max_history, CPU)
    )
    model.reset(seeds.torch_generator(3, "init"))
    if model.has_edges:
        model.set_edges(*training_edges(data.interactions, data.split, CPU))
    model.prepare(examples)
    return model, examples


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", LEARNING)
def test_epochs_from_new_weights_are_those_of_a_whole_training(name):
    data = planted(MODELS.get(name).task, num_users=100)
    whole, rows = make_model(name, data), data.interactions
    record = train(whole, TASKS.get(data.task)(), rows, data.split, SETTINGS, 3, CPU)
    model, examples = prepared(name)
    losses = train_epochs(model, examples, SETTINGS, 3, range(record.best_epoch + 1))
    assert losses == record.losses[: record.best_epoch + 1]
    assert same(state(whole), state(model))


def test_what_is_drawn_depends_on_the_number_of_the_epoch():
    ends = []
    for epochs in (range(0, 1), range(1, 2), range(1, 2)):
        model, examples = prepared("bpr")
        train_epochs(model, examples, SETTINGS, 3, epochs)
        ends.append(state(model))
    assert not same(ends[0], ends[1])
    assert same(ends[1], ends[2])


def test_the_optimiser_begins_anew_with_each_call():
    """The first step of Adam moves every weight by the step size, whatever the gradient."""
    model, examples = prepared("bpr")
    everything = SETTINGS.model_copy(update={"batch_size": len(examples)})
    train_epochs(model, examples, everything, 3, range(3))
    before = state(model)
    train_epochs(model, examples, everything, 3, range(3, 4))
    moved = (model.item_embedding.weight.detach() - before["item_embedding.weight"]).abs()
    assert float(moved.max()) == pytest.approx(5e-3, rel=1e-3)
    assert float(moved.median()) == pytest.approx(5e-3, rel=1e-3)


def test_the_step_size_decays_from_the_first_epoch_of_the_call():
    decaying = SETTINGS.model_copy(update={"decay_every": 2, "decay_factor": 1e-6})
    plain, examples = prepared("bpr")
    train_epochs(plain, examples, SETTINGS, 3, range(6, 8))
    model, _ = prepared("bpr")
    train_epochs(model, examples, decaying, 3, range(6, 8))
    assert same(state(plain), state(model))
    model, _ = prepared("bpr")
    train_epochs(model, examples, decaying, 3, range(6, 9))
    assert not same(state(plain), state(model))
    assert torch.allclose(plain.item_embedding.weight, model.item_embedding.weight, atol=1e-5)


def test_stops_between_epochs():
    answers = iter([False, False, True])
    model, examples = prepared("bpr")
    losses = train_epochs(model, examples, SETTINGS, 3, range(9), lambda: next(answers))
    once, _ = prepared("bpr")
    assert losses == train_epochs(once, examples, SETTINGS, 3, range(2))
    assert same(state(model), state(once))


def test_no_examples():
    model, examples = prepared("bpr")
    none = examples.take(torch.zeros(0, dtype=torch.int64))
    with pytest.raises(TrainingError, match="'bpr' has no training examples left to learn from"):
        train_epochs(model, none, SETTINGS, 3, range(1))


def test_losses_that_are_not_finite():
    model, examples = prepared("bpr")
    with torch.no_grad():
        model.item_embedding.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="the loss of model 'bpr' is nan at epoch 4, step 0"):
        train_epochs(model, examples, SETTINGS, 3, range(4, 5))
