"""Planted data and briefly trained models that several tests share."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from erase_ray.contract.planted import CPU, make_model, planted, set_edges, trained_weights
from erase_ray.data.prepared import Prepared
from erase_ray.datasets import Scratch
from erase_ray.models import MODELS, Model
from erase_ray.tasks import TASKS, Cut

torch.set_num_threads(1)
# shared machines stall: a slow example is no failure, and a run must not differ from the last
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")
LEARNING = [name for name in MODELS.names() if MODELS.get(name).learns]
"""All models but the baselines."""
SCRATCH = Scratch(Path(tempfile.gettempdir()) / "erase_ray_tests")
"""For readers that write nothing; the others get a folder of their own."""


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


@pytest.fixture
def examples(model, data):
    """All training examples of the model's task."""
    cut = Cut(model.max_history, CPU)
    return TASKS.get(data.task)().examples(data.interactions, data.split, cut)
