"""Planted data and briefly trained models that several tests share."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from erase_ray.data.prepare import prepare
from erase_ray.data.prepared import Prepared
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train, training_edges

torch.set_num_threads(1)
# shared machines stall: a slow example is no failure, and a run must not differ from the last
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")
CPU = torch.device("cpu")
LEARNING = [name for name in MODELS.names() if MODELS.get(name).learns]
"""All models but the baselines."""
SCRATCH = Scratch(Path(tempfile.gettempdir()) / "erase_ray_tests")
"""For readers that write nothing; the others get a folder of their own."""


@functools.cache
def planted(task: str) -> Prepared:
    """The planted dataset of a task, at its default size."""
    kind = DATASETS.get("planted")
    dataset = kind(kind.Settings(task=task))
    return prepare(dataset, dataset.read({}, SCRATCH), TASKS.get(task)().split)


def make_model(name: str, data: Prepared, **settings: Any) -> Model:
    """A fresh model with tables for ``data``, weights drawn from a fixed seed."""
    kind = MODELS.get(name)
    shape = Shape(data.interactions.num_users, data.interactions.num_items)
    model = kind(kind.Settings(**settings), shape)
    model.reset(torch.Generator().manual_seed(1))
    return model


@functools.cache
def trained_weights(name: str) -> dict[str, torch.Tensor]:
    """Weights of a model after three epochs on planted data."""
    data = planted(MODELS.get(name).task)
    model = make_model(name, data)
    settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=5e-3)
    task = TASKS.get(data.task)()
    train(model, task, data.interactions, data.split, settings, 2, CPU)
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.fixture(params=MODELS.names())
def model_name(request) -> str:
    return request.param


@pytest.fixture
def data(model_name) -> Prepared:
    """Planted data of the model's task."""
    return planted(MODELS.get(model_name).task)


@pytest.fixture
def model(model_name, data) -> Model:
    """A fresh copy of the briefly trained model, with its edges if it has any."""
    fresh = make_model(model_name, data)
    fresh.load_state_dict(trained_weights(model_name))
    set_edges(fresh, data)
    return fresh


def set_edges(model: Model, data: Prepared) -> None:
    """Give a graph model the training edges of ``data``."""
    if model.has_edges:
        model.set_edges(*training_edges(data.interactions, data.split, CPU))


@pytest.fixture
def examples(model, data):
    """All training examples of the model's task."""
    cut = Cut(model.max_history, CPU)
    return TASKS.get(data.task)().examples(data.interactions, data.split, cut)
