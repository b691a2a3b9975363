"""The contract of a model."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from erase_ray.registry import Registry
from erase_ray.settings import Frozen

MODELS: "Registry[Model]" = Registry("model", "erase_ray.models")


class TrainingSettings(Frozen):
    """How a model is trained; each model brings the values of the benchmark as its default."""

    epochs: int = Field(default=100, ge=1)
    """Most passes over the training examples."""
    batch_size: int = Field(default=2048, ge=1)
    """Examples of one optimiser step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's step size."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty that Adam adds to the gradient."""
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    beta_2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of Adam's mean of squared gradients."""
    epsilon: float = Field(default=1e-8, gt=0)
    """What Adam adds to the root of the latter."""
    decay_every: int = Field(default=0, ge=0)
    """Epochs after which the step size is multiplied by ``decay_factor``, again and again; 0:
    never."""
    decay_factor: float = Field(default=0.1, gt=0, le=1)
    """See ``decay_every``."""
    patience: int = Field(default=10, ge=1)
    """Stop after this many validations in a row without a gain."""
    select_metric: str = "recall"
    """Metric on the validation queries that picks the best epoch."""
    select_k: int = Field(default=20, ge=1)
    """Cut-off of that metric."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number type of the products in the loss; weights, sums and moments are float32 always."""
    compile: bool = False
    """Run the loss through ``torch.compile`` (on the CPU that needs a C++ compiler)."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the tables of a model; those of the full data, so they never shrink."""

    num_users: int
    num_items: int


class Model(nn.Module, ABC):
    """A recommender on a single device that knows neither data loading nor forgetting."""

    name: ClassVar[str]
    task: ClassVar[str]
    """Name of the task whose batches it reads."""
    version: ClassVar[int] = 1
    """Raised whenever a change moves the numbers."""
    has_edges: ClassVar[bool] = False
    """True for models that read training edges when they score; they define :meth:`set_edges`,
    :meth:`drop_edges` and :meth:`restore_edges`."""
    learns: ClassVar[bool] = True
    """False for baselines that are fitted in one pass (see :class:`Baseline`), not trained."""
    training: ClassVar[TrainingSettings] = TrainingSettings()

    class Settings(Frozen):
        """Settings of the model."""

    def __init__(self, settings: Any, shape: Shape) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape

    @property
    def max_history(self) -> int:
        """Longest history the model reads, in items or baskets; 0 where it reads none."""
        return 0

    @abstractmethod
    def reset(self, generator: torch.Generator) -> None:
        """Draw new initial weights, in a fixed order of the parameters."""

    def prepare(self, examples: Any) -> None:
        """Take from the training examples what the loss needs to know of them as a whole.

        Called once before training, after :meth:`reset`; what it keeps belongs in a persistent
        buffer. ``examples`` is an :class:`erase_ray.tasks.Examples`. Nothing by default.
        """

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """The training loss of each example, shape ``(B,)``."""

    @abstractmethod
    def scores(self, batch: Any) -> Tensor:
        """The score of every item for each example, shape ``(B, I)``; higher is better."""

    def represent(self, batch: Any) -> Tensor:
        """The vector of each example that the output layer compares with the items, ``(B, D)``.

        Reads the input alone, never a target, and can be differentiated. Where the output does
        more than compare (as a gate for repeated items does), that is left out.

        Raises:
            NotImplementedError: The model compares no vectors.
        """
        raise NotImplementedError(f"model '{self.name}' makes no vector to compare with items")

    @abstractmethod
    def head_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters next to the output, by their names in ``named_parameters()``."""

    def user_tables(self) -> dict[str, nn.Parameter]:
        """Parameters whose first dimension is the user; empty where the model has none."""
        return {}

    def item_tables(self) -> dict[str, nn.Parameter]:
        """Parameters whose first dimension is the item; empty where the model has none."""
        return {}

    def row_tables(self) -> dict[str, nn.Parameter]:
        """Tables that are read by rows or in products alone, so that a team can share out their
        rows (see :mod:`erase_ray.models._sharded`); empty where the model has none.
        """
        return {}

    def pick(self, *names: str) -> dict[str, nn.Parameter]:
        """The parameters with these names, in this order."""
        return {name: self.get_parameter(name) for name in names}

    def start_epoch(self, seed: int) -> None:
        """Draw what stays the same for one epoch of training, such as views of a graph.

        A function of ``seed`` and of what the model was given alone. Nothing by default.
        """

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Inside, weights and edges stay as they are, so :meth:`scores` may compute once what
        depends on them alone; nothing of it is kept afterwards.
        """
        yield

    def set_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take the training edges (user, item), int64, on the device of the model.

        The same pair may come several times. Edges are no part of the state of a model: whoever
        loads weights sets them. Only for models with :attr:`has_edges`.
        """
        raise NotImplementedError(f"model '{self.name}' reads no edges")

    def drop_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Take away some of the edges, in time proportional to their number.

        Each pair takes away one of the edges between the two, all of which must be there.
        """
        raise NotImplementedError(f"model '{self.name}' reads no edges")

    def restore_edges(self, user_E: Tensor, item_E: Tensor) -> None:
        """Put back edges that :meth:`drop_edges` took away, in time proportional to their
        number.
        """
        raise NotImplementedError(f"model '{self.name}' reads no edges")
