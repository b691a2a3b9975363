"""What the interface remembers of a model: outer ids, training, and which rows were trained on."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from erase_ray.api._table import Marks
from erase_ray.data.names import Names
from erase_ray.models import Model, TrainingSettings

_ATTRIBUTE = "_erase_ray_memory"


@dataclass(frozen=True, eq=False)
class Memory:
    """What was there when a model was made.

    Args:
        users: Outer ids of users, position = row of the model's tables; None if not known.
        items: Outer ids of items; None if not known.
        training: How it was trained; None if not known.
        split: Which rows it was trained on.
        columns: Names of columns by what they are for, where they differ.
        source: Where it comes from, plain values.
    """

    users: Names | None = None
    items: Names | None = None
    training: TrainingSettings | None = None
    split: Marks = "all"
    columns: Mapping[str, str] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Memory":
        """Itself: nothing in it changes."""
        return self


def remember(model: Model, memory: Memory) -> Model:
    """Keep ``memory`` with the model and its copies; no part of its state."""
    setattr(model, _ATTRIBUTE, memory)
    return model


def memory_of(model: Model) -> Memory:
    """What is remembered of a model; nothing is if it was made by hand."""
    return getattr(model, _ATTRIBUTE, Memory())


def forgetful_copy(model: Model) -> Model:
    """A copy that shares no tensor with the model; what is remembered goes with it."""
    return copy.deepcopy(model)


def numbers(size: int) -> Names:
    """Ids 0 to ``size - 1``, for models whose tables are numbered like the frame."""
    return Names.of_numbers(np.arange(size))
