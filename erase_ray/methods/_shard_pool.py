"""Training shards as jobs that can be shipped, and who runs them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.errors import TrainingError
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.training import train_epochs, training_edges

Weights = dict[str, Tensor]
"""State of a model, on the CPU."""
ShouldStop = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(frozen=True, eq=False)
class Slice:
    """What the training of one slice left.

    Args:
        weights: After it.
        num_steps: Steps of the optimiser, each one gradient of a mini-batch.
        is_empty: Whether it had no examples, so that nothing was done.
    """

    weights: Weights
    num_steps: int = 0
    is_empty: bool = False


OnSlice = Callable[[int, Slice], None]
"""Told the number of a job among those of a run, and a slice of it that is done."""


def ignore(number: int, done: Slice) -> None:
    """An :data:`OnSlice` that does nothing."""


@dataclass(frozen=True, eq=False)
class ShardJob:
    """Train the model of one shard, slice after slice, from the weights before ``first_slice``.

    Names, numbers and arrays alone, so it can be pickled and run anywhere; what comes out is a
    function of them and of the type of the device. Slices without examples are passed over.

    Args:
        shard: Number of the shard.
        model: Name of the model.
        settings: Its settings.
        shape: Sizes of its tables.
        task: Name of the task.
        training: How to train; its number of epochs does not count.
        passes: Passes over slices 0 to r, for each slice r of the shard.
        first_slice: The first slice to train.
        start: Weights before it; None for new ones, drawn from ``seed``.
        interactions: The rows that the people of the shard have left.
        marks: The mark of each of them in the split.
        slices: The slice of each of these people, ascending by user.
        seed: Root of all draws of the shard.
        device: Where to train.
    """

    shard: int
    model: str
    settings: dict[str, Any]
    shape: Shape
    task: str
    training: TrainingSettings
    passes: tuple[int, ...]
    first_slice: int
    start: Weights | None
    interactions: Interactions
    marks: np.ndarray
    slices: np.ndarray
    seed: int
    device: str

    def run(
        self,
        should_stop: ShouldStop = _never,
        told: Callable[[Slice], None] = lambda done: None,
    ) -> "ShardResult":
        """Train, until all is done or ``should_stop``, asked before each epoch, says yes.

        Args:
            should_stop: Whether to end early.
            told: Hears of each slice when it is done.
        """
        result = ShardResult(self.shard, self.first_slice)
        try:
            for done in self.each(should_stop):
                result.add(done)
                told(done)
        except TrainingError as error:
            result.error = str(error)
        return self.closed(result)

    def each(self, should_stop: ShouldStop = _never) -> Iterator[Slice]:
        """Train one slice after the other; ends early where ``should_stop`` says yes.

        Raises:
            TrainingError: A loss or the weights are not finite.
        """
        model = self._model()
        for number in range(self.first_slice, len(self.passes)):
            done = self._train(model, number, should_stop)
            if done is None:
                return
            yield done

    def after(self, result: "ShardResult") -> "ShardJob":
        """What is left to do once ``result`` is there."""
        if not result.weights:
            return self
        first = result.first_slice + len(result.weights)
        return replace(self, first_slice=first, start=result.weights[-1])

    def closed(self, result: "ShardResult") -> "ShardResult":
        """``result``, to which nothing is added any more, with ``is_complete`` as it is."""
        reached = result.first_slice + len(result.weights)
        result.is_complete = bool(result.error) or reached == len(self.passes)
        return result

    def _model(self) -> Model:
        kind = MODELS.get(self.model)
        model = kind(kind.Settings(**self.settings), self.shape).to(self.device)
        model.reset(seeds.torch_generator(self.seed, "init"))
        if self.start is not None:
            model.load_state_dict(self.start)
        return model

    def _train(self, model: Model, number: int, should_stop: ShouldStop) -> Slice | None:
        """Train slices 0 to ``number``; None if that was stopped."""
        device = torch.device(self.device)
        table = self.interactions.only(self.interactions.row[self._slice_R <= number])
        cut = Cut(model.max_history, device)
        examples = TASKS.get(self.task)().examples(table, self._split, cut)
        if not self._has_any(number, examples.users):
            return Slice(_on_cpu(model), is_empty=True)
        if model.has_edges:
            model.set_edges(*training_edges(table, self._split, device))
        model.prepare(examples)
        first = sum(self.passes[:number])
        epochs = range(first, first + self.passes[number])
        losses = train_epochs(model, examples, self.training, self.seed, epochs, should_stop)
        if len(losses) < len(epochs):
            return None
        num_steps = len(losses) * -(-len(examples) // self.training.batch_size)
        return Slice(_on_cpu(model), num_steps)

    def _has_any(self, number: int, users_N: Tensor) -> bool:
        place_N = np.searchsorted(self._users, users_N.cpu().numpy())
        return bool(np.any(self.slices[place_N] == number))

    @cached_property
    def _users(self) -> np.ndarray:
        return np.unique(self.interactions.user)

    @cached_property
    def _slice_R(self) -> np.ndarray:
        return self.slices[np.searchsorted(self._users, self.interactions.user)]

    @cached_property
    def _split(self) -> Split:
        row_R = self.interactions.row
        marks = np.zeros(int(row_R.max(initial=-1)) + 1, np.int8)
        marks[row_R] = self.marks
        return Split(marks)


@dataclass(eq=False)
class ShardResult:
    """What came out of a job.

    Args:
        shard: Number of the shard.
        first_slice: The first slice that was trained.
        weights: Weights after each slice from that one on.
        num_steps: Steps of the optimiser, each one gradient of a mini-batch.
        num_skipped: Slices that had no examples.
        is_complete: False if it was stopped; ``weights`` then lack the last slices.
        error: Why training failed; empty if it did not.
    """

    shard: int
    first_slice: int
    weights: list[Weights] = field(default_factory=list)
    num_steps: int = 0
    num_skipped: int = 0
    is_complete: bool = True
    error: str = ""

    def add(self, done: Slice) -> None:
        """Take in the next slice."""
        self.weights.append(done.weights)
        self.num_steps += done.num_steps
        self.num_skipped += done.is_empty


class ShardPool(Protocol):
    """Runs the jobs of several shards."""

    def run(
        self, jobs: Sequence[ShardJob], should_stop: ShouldStop, on_slice: OnSlice = ignore
    ) -> list[ShardResult]:
        """The result of each job, in their order.

        Once ``should_stop`` says yes, jobs end early; those that never began are given back as
        results without weights that are not complete. ``on_slice`` hears of each slice of each
        job when it is done, in this thread.
        """
        ...


class SerialPool:
    """One job after the other, in this process."""

    def run(
        self, jobs: Sequence[ShardJob], should_stop: ShouldStop, on_slice: OnSlice = ignore
    ) -> list[ShardResult]:
        """See :meth:`ShardPool.run`."""
        return [job.run(should_stop, partial(on_slice, number)) for number, job in enumerate(jobs)]


def _on_cpu(model: Model) -> Weights:
    return {name: t.detach().to("cpu", copy=True) for name, t in model.state_dict().items()}
