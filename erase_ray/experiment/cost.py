"""Rough seconds, memory and bytes of a node, before anything is measured.

The constants are orders of magnitude for one core of a server of 2024 (about 20 GFLOP/s in single
precision), taken from runs of the three laptop cells; they only order the plan, choose memory
classes and print an estimate, and may be off by a factor of three. The progress line corrects
them by what it measures.
"""

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from erase_ray.datasets import DATASETS
from erase_ray.evaluation import default_block
from erase_ray.experiment.cell import NO_METHOD, Cell, Part
from erase_ray.experiment.results import BASE, ORIGINAL
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, Shape
from erase_ray.scenarios._base import NUM_MARKS

logger = logging.getLogger(__name__)

SECONDS_PER_EXAMPLE = {"cf": 4e-6, "session_based": 1e-4, "next_basket": 3e-4}
"""One training example through one epoch by task, apart from what grows with the number of items;
a model that is much slower or faster has its own ``seconds_per_example``."""
SECONDS_PER_ITEM = {"cf": 0.0, "session_based": 2e-8, "next_basket": 3e-7}
"""The same for each item that is scored."""
SECONDS_PER_REQUEST = {"cf": 0.05, "session_based": 0.3, "next_basket": 0.5}
"""One request of an unlearning method by task."""
SHARD_SHARE = 0.1
"""Share of the training that one request repeats, where a method trained a model of its own."""
SLOW_EXAMPLE, SLOW_ITEM, SLOW_REQUEST = 1e-4, 1e-7, 0.3
"""For tasks that came later."""
SECONDS_PER_SCORE = 1e-8
"""One item scored for one query."""
SECONDS_PER_STEP = 1e-3
"""One step of the optimiser, whatever the batch."""
SECONDS_PER_ROW_READ = 3e-6
"""One interaction parsed, cleaned, split and written, on two cores."""
SECONDS_TO_START = 1.0
"""Reading the prepared data and writing the results of a cell."""
GPU_SPEEDUP = 20
PROCESS_MB = 700
"""A worker with torch loaded."""
BYTES_PER_ROW = 100
"""An interaction in memory, with the examples made from it."""
GPU_MB = 16_000
"""Memory of the GPU that several small cells may share."""
TRAINING_COPIES = 4
"""Weights, gradients and Adam's two averages."""
RANKED_BYTES = 200
"""A stored query: its ranked items and what would have been right."""


@dataclass(frozen=True)
class Estimate:
    """What a node is expected to need; see the module for how rough it is.

    Args:
        seconds: On one CPU core.
        memory_mb: Of the process.
        gpu_share: Of one GPU, where there is one; 0 for work that needs none.
        stored_bytes: What it adds to the store.
        workers: Processes that train it together through Ray Train; 0 if its own one does.
        shards: Processes that train its shards side by side; 0 if its own one does.
    """

    seconds: float
    memory_mb: int
    gpu_share: float
    stored_bytes: int
    workers: int = 0
    shards: int = 0


@dataclass
class CostModel:
    """Estimates nodes; remembers sizes, so a large grid is counted quickly."""

    _sizes: dict[int, tuple[Part, tuple[int, int, int]]] = field(default_factory=dict)
    _chains: dict[tuple[int, int], tuple[Part, Part | None, float]] = field(default_factory=dict)
    _weights: dict[tuple[int, int], tuple[Part, Part, int]] = field(default_factory=dict)

    def of_data(self, dataset: Part) -> Estimate:
        """Fetching and preparing a dataset."""
        rows, _, _ = self._size(dataset)
        memory_mb = PROCESS_MB + rows * BYTES_PER_ROW // 2**20
        return Estimate(SECONDS_TO_START + rows * SECONDS_PER_ROW_READ, memory_mb, 0, 20 * rows)

    def of_cell(self, cell: Cell) -> Estimate:
        """Running a cell whose data, and base model if it needs one, are in the store."""
        rows, users, items = self._size(cell.dataset)
        weights = self._weight_bytes(cell)
        task = MODELS.get(cell.model.name).task
        queries = rows // 10 if task == "session_based" else users
        seconds = SECONDS_TO_START
        copies, kept, measured = TRAINING_COPIES, 1, 1
        training = self._training_seconds(cell, task) if _trains(cell) else 0.0
        seconds += training
        if _serves_chain(cell):
            per_request = SECONDS_PER_REQUEST.get(task, SLOW_REQUEST) + SHARD_SHARE * training
            seconds += self._requests(cell) * per_request
            kept = measured = NUM_MARKS
        elif cell.method.name == ORIGINAL:
            kept = 0
        elif cell.method.name == BASE:
            measured = 0
        seconds += measured * queries * items * SECONDS_PER_SCORE
        memory = copies * weights + rows * BYTES_PER_ROW + 3 * 4 * default_block(items) * items
        memory_mb = PROCESS_MB + memory // 2**20
        share = next((s for s in (0.125, 0.25, 0.5) if memory_mb <= s * GPU_MB), 1.0)
        stored = kept * weights + measured * queries * RANKED_BYTES
        return Estimate(seconds, memory_mb, share, stored)

    def _training_seconds(self, cell: Cell, task: str) -> float:
        rows, users, items = self._size(cell.dataset)
        examples = users if task == "next_basket" else 0.8 * rows
        usual = SECONDS_PER_EXAMPLE.get(task, SLOW_EXAMPLE)
        per_example = getattr(MODELS.get(cell.model.name), "seconds_per_example", usual)
        epoch = examples * (per_example + items * SECONDS_PER_ITEM.get(task, SLOW_ITEM))
        epoch += examples / cell.training.batch_size * SECONDS_PER_STEP
        return cell.training.epochs * epoch

    def _size(self, dataset: Part) -> tuple[int, int, int]:
        if id(dataset) not in self._sizes:
            size = dataset.build(DATASETS).rough_size
            self._sizes[id(dataset)] = (dataset, size)
        return self._sizes[id(dataset)][1]

    def _requests(self, cell: Cell) -> float:
        key = (id(cell.dataset), id(cell.scenario))
        if key not in self._chains:
            rows, users, _ = self._size(cell.dataset)
            number = 1 + cell.make_scenario().rough_requests(rows, users) if cell.scenario else 1.0
            self._chains[key] = (cell.dataset, cell.scenario, number)
        return self._chains[key][2]

    def _weight_bytes(self, cell: Cell) -> int:
        key = (id(cell.dataset), id(cell.model))
        if key not in self._weights:
            _, users, items = self._size(cell.dataset)
            counted = weight_bytes(cell.model, Shape(users, items))
            self._weights[key] = (cell.dataset, cell.model, counted)
        return self._weights[key][2]


def weight_bytes(model: Part, shape: Shape) -> int:
    """Bytes of a model's weights; the model is laid out without allocating them."""
    try:
        with torch.device("meta"), _NoDraws():
            built: Any = model.build(MODELS, shape)
        return sum(tensor.numel() * tensor.element_size() for tensor in built.state_dict().values())
    except (RuntimeError, NotImplementedError) as error:
        logger.debug("model %s cannot be laid out on 'meta': %s", model.name, error)
        return 4 * 64 * (shape.num_users + shape.num_items)


class _NoDraws(TorchFunctionMode):
    """Leaves out random initial values: on the 'meta' device they take seconds of imports."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _trains(cell: Cell) -> bool:
    if cell.method.name in NO_METHOD:
        return cell.method.name == BASE
    return not METHODS.get(cell.method.name).needs_base


def _serves_chain(cell: Cell) -> bool:
    return cell.method.name not in NO_METHOD and not METHODS.get(cell.method.name).per_mark
