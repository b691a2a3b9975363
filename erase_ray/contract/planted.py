"""Planted data, whose right answer is known, and models that have learned a little of it."""

import functools
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erase_ray.data.prepare import prepare
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.tasks import TASKS, Cut, Examples
from erase_ray.training import train, training_edges

CPU = torch.device("cpu")
SEED = 2
BRIEF = TrainingSettings(epochs=3, batch_size=64, learning_rate=5e-3)
"""Enough for the planted data to leave its mark."""


def scratch() -> Scratch:
    """A folder for readers that write nothing but what may be deleted."""
    return Scratch(Path(tempfile.gettempdir()) / "erase_ray_contract")


@functools.cache
def planted(task: str, **changes: Any) -> Prepared:
    """The planted dataset of a task, at its default size if ``changes`` do not say otherwise."""
    kind: Any = DATASETS.get("planted")
    dataset = kind(kind.Settings(task=task, **changes))
    return prepare(dataset, dataset.read({}, scratch()), TASKS.get(task)().split)


def make_model(name: str, data: Prepared, **settings: Any) -> Model:
    """A fresh model with tables for ``data``, weights drawn from a fixed seed."""
    kind = MODELS.get(name)
    shape = Shape(data.interactions.num_users, data.interactions.num_items)
    model = kind(kind.Settings(**settings), shape)
    model.reset(torch.Generator().manual_seed(1))
    return model


def set_edges(model: Model, data: Prepared) -> None:
    """Give a graph model the training edges of ``data``."""
    if model.has_edges:
        model.set_edges(*training_edges(data.interactions, data.split, CPU))


def trained_weights(name: str) -> dict[str, Tensor]:
    """Weights of a model with its default settings after :data:`BRIEF` training."""
    return _trained_weights(name, ())


def trained(name: str, settings: dict[str, Any] | None = None) -> tuple[Model, Prepared]:
    """A fresh copy of the briefly trained model, with its edges if it has any, and its data."""
    chosen = settings or {}
    data = planted(MODELS.get(name).task)
    model = make_model(name, data, **chosen)
    model.load_state_dict(_trained_weights(name, tuple(sorted(chosen.items()))))
    set_edges(model, data)
    return model, data


@functools.cache
def _trained_weights(name: str, settings: tuple[tuple[str, Any], ...]) -> dict[str, Tensor]:
    data = planted(MODELS.get(name).task)
    model = make_model(name, data, **dict(settings))
    train(model, TASKS.get(data.task)(), data.interactions, data.split, BRIEF, SEED, CPU)
    return state_of(model)


def examples_of(model: Model, data: Prepared) -> Examples:
    """All training examples of the model's task."""
    cut = Cut(model.max_history, CPU)
    return TASKS.get(data.task)().examples(data.interactions, data.split, cut)


def state_of(model: Model) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """True if all tensors are equal to the last bit; NaN equals nothing."""
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def sensitive_rows(data: Prepared, place: int = 0) -> np.ndarray:
    """The rows with sensitive items of the person with the most (next most ...) to train on."""
    table = data.interactions
    sensitive = data.catalogue.members("sensitive")[table.item]
    counted = sensitive & data.split.select(table, Part.TRAIN)
    user = np.argsort(-np.bincount(table.user[counted]), kind="stable")[place]
    return table.row[sensitive & (table.user == user)]


def shuffle_generators(seed: int) -> None:
    """Put the global generators of torch, NumPy and Python in some state."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Afterwards the global generators are as before."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
