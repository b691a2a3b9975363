"""Options of training that trade numbers for speed, off by default."""

import shutil

import pytest
import torch

from erase_ray.models import MODELS, TrainingSettings
from erase_ray.tasks import TASKS
from erase_ray.training import train
from tests.conftest import CPU, LEARNING, make_model, planted


def losses(name, num_users=100, **changes):
    data = planted(MODELS.get(name).task, num_users=num_users)
    model, task = make_model(name, data), TASKS.get(data.task)()
    base = TrainingSettings(epochs=2, batch_size=128, learning_rate=2e-3)
    settings = base.model_copy(update=changes)
    record = train(model, task, data.interactions, data.split, settings, 5, CPU)
    assert all(weight.dtype is torch.float32 for weight in model.parameters())
    return record.losses


@pytest.mark.parametrize("name", LEARNING)
def test_bfloat16_products_change_the_loss_by_little(name):
    exact, rough = losses(name), losses(name, precision="bfloat16")
    assert rough == pytest.approx(exact, rel=2e-2)


def test_bfloat16_is_really_used():
    assert losses("gru4rec") != losses("gru4rec", precision="bfloat16")


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_loss_is_the_same_up_to_rounding():
    assert losses("bpr", compile=True) == pytest.approx(losses("bpr"), rel=1e-5)


@pytest.mark.parametrize("name", ["bpr", "lightgcn", "gru4rec", "dnntsp"])
def test_threads_move_the_loss_by_rounding_alone(name):
    try:
        torch.set_num_threads(2)
        two = losses(name)
    finally:
        torch.set_num_threads(1)
    assert two == pytest.approx(losses(name), rel=1e-5)


def test_the_step_size_decays_every_few_epochs():
    plain = losses("bpr", 300, epochs=3)
    slow = losses("bpr", 300, epochs=3, decay_every=1, decay_factor=1e-3)
    assert slow[:1] == plain[:1]
    assert plain[1] - plain[2] > 20 * abs(slow[1] - slow[2])
