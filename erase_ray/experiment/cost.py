"""Rough seconds, memory and bytes of a node, before anything is measured.

The constants are orders of magnitude for one core of a server of 2024 (about 20 GFLOP/s in single
precision), taken from runs of the three laptop cells; they only order the plan, choose memory
classes and print an estimate, and may be off by a factor of three, and by ten on a GPU. What was
measured corrects them, see :mod:`.fit`.
"""

import logging
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from erase_ray.audits import AUDITS, ObservationAudit
from erase_ray.datasets import DATASETS
from erase_ray.evaluation import default_block
from erase_ray.experiment.cell import NO_METHOD, Cell, Part
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.results import BASE, ORIGINAL
from erase_ray.methods import METHODS
from erase_ray.models import MODELS, Shape
from erase_ray.scenarios._base import NUM_MARKS

logger = logging.getLogger(__name__)

SECONDS_PER_EXAMPLE = {"cf": 2e-6, "session_based": 1e-4, "next_basket": 3e-4}
"""One training example through one epoch by task, apart from what grows with the number of items;
a model that is much slower or faster has its own ``seconds_per_example``."""
SECONDS_PER_ITEM = {"cf": 0.0, "session_based": 2e-8, "next_basket": 3e-7}
"""The same for each item that is scored."""
SECONDS_PER_REQUEST = {"cf": 0.02, "session_based": 0.3, "next_basket": 0.2}
"""One request of an unlearning method by task, apart from what grows with the number of items."""
LIGHT = {"none": 0.02, "exact": 0.1}
"""Methods that do less for a request, and how much of what the others do."""
REQUEST_EXAMPLES = 50
"""Training examples whose cost for each item one request has."""
SHARD_SHARE = 0.7
"""Share of the training of a shard that one wish repeats, over the slices it may begin in."""
SLOW_EXAMPLE, SLOW_ITEM, SLOW_REQUEST = 1e-4, 1e-7, 0.3
"""For tasks that came later."""
SECONDS_PER_SCORE = 1e-8
"""One item scored for one query."""
SECONDS_PER_STEP = 1e-3
"""One step of the optimiser, whatever the batch."""
SECONDS_PER_ROW_READ = 3e-6
"""One interaction parsed, cleaned, split and written, on two cores."""
SECONDS_PER_AUDIT = 3.0
"""An audit, apart from scores."""
AUDIT_SCORES = 12
"""How often an audit that looks at models has all queries scored: three models, four marks."""
SECONDS_TO_START = 0.2
"""Reading the prepared data and writing the results of a cell."""
GPU_STEP = 3.0
"""A step on a GPU, relative to one on the CPU: kernels are launched one after the other."""
GPU_SMALL = 20.0
"""How much faster a GPU does work that is many small pieces."""
TEAM_SHARE = 0.8
"""Of the work of a process, how much is left in one of several that train together."""
PROCESS_MB, CUDA_MB = 700, 600
"""A worker with torch loaded; what it takes of a GPU before it does anything."""
BYTES_PER_ROW = 100
"""An interaction in memory, with the examples made from it."""
TRAINING_COPIES = 4
"""Weights, gradients and Adam's two averages."""
RANKED_BYTES = 200
"""A stored query: its ranked items and what would have been right."""


@dataclass(frozen=True)
class Estimate:
    """What a node is expected to need; see the module for how rough it is.

    Args:
        seconds: On the GPU where the machine has one and the node can use it, else on a CPU core.
        memory_mb: Of the process.
        gpu_share: Of one GPU, where there is one; 0 for work that needs none.
        stored_bytes: What it adds to the store.
        workers: Processes that train it together through Ray Train; 0 if its own one does.
        shards: Processes that train its shards side by side; 0 if its own one does.
        gpu_mb: What it needs of a GPU's memory.
        rough: The seconds as they were before measurements corrected them; 0 if none did.
    """

    seconds: float
    memory_mb: int
    gpu_share: float
    stored_bytes: int
    workers: int = 0
    shards: int = 0
    gpu_mb: int = 0
    rough: float = 0.0

    @property
    def prior(self) -> float:
        """Seconds by size alone."""
        return self.rough or self.seconds

    def refined(self, seconds: float, memory_mb: int, gpu_mb: int, machine: Machine) -> "Estimate":
        """With other numbers, and the share of a GPU that follows from them."""
        share = gpu_share(gpu_mb, machine) if self.gpu_share > 0 and not self.workers else None
        return replace(
            self,
            seconds=seconds,
            memory_mb=memory_mb,
            gpu_mb=gpu_mb,
            gpu_share=self.gpu_share if share is None else share,
            rough=self.prior,
        )


@dataclass(frozen=True)
class Work:
    """Seconds on one CPU core.

    Args:
        dense: Large products of matrices.
        small: Many small pieces.
        steps: Of the optimiser, apart from the two others.
    """

    dense: float = 0.0
    small: float = 0.0
    steps: float = 0.0

    def times(self, factor: float) -> "Work":
        """The same so many times over."""
        return Work(self.dense * factor, self.small * factor, self.steps * factor)

    def __add__(self, other: "Work") -> "Work":
        return Work(self.dense + other.dense, self.small + other.small, self.steps + other.steps)

    def seconds(self, machine: Machine) -> float:
        """On a GPU if the machine has one."""
        if not machine.gpus:
            return self.dense + self.small + self.steps
        return self.dense / machine.gpu_speed + self.small / GPU_SMALL + self.steps * GPU_STEP


def gpu_share(gpu_mb: float, machine: Machine) -> float:
    """One over the number of cells of such a size that fit into a GPU, a power of two."""
    cells = 1
    while 2 * cells <= machine.cells_per_gpu and 2 * cells * gpu_mb <= machine.gpu_mb:
        cells *= 2
    return 1 / cells


NO_GPU = Machine(slots=1)


@dataclass
class CostModel:
    """Estimates nodes; remembers sizes, so a large grid is counted quickly.

    Args:
        machine: What they run on.
    """

    machine: Machine = NO_GPU
    _sizes: dict[int, tuple[Part, tuple[int, int, int]]] = field(default_factory=dict)
    _chains: dict[tuple[int, int], tuple[Part, Part | None, float]] = field(default_factory=dict)
    _weights: dict[tuple[int, int], tuple[Part, Part, int]] = field(default_factory=dict)
    _known: dict[tuple[int | None, ...], tuple[Cell, Estimate]] = field(default_factory=dict)

    def of_data(self, dataset: Part) -> Estimate:
        """Fetching and preparing a dataset."""
        rows, _, _ = self._size(dataset)
        memory_mb = PROCESS_MB + rows * BYTES_PER_ROW // 2**20
        return Estimate(SECONDS_TO_START + rows * SECONDS_PER_ROW_READ, memory_mb, 0, 20 * rows)

    def of_cell(self, cell: Cell) -> Estimate:
        """Running a cell whose data, and base model if it needs one, are in the store."""
        parts = (cell.dataset, cell.model, cell.training, cell.scenario, cell.method)
        group = (*map(id, parts), cell.mark, cell.shadow is not None, id(cell.audit))
        if group not in self._known:
            self._known[group] = (cell, self._estimate(cell))
        return self._known[group][1]

    def _estimate(self, cell: Cell) -> Estimate:
        rows, users, items = self._size(cell.dataset)
        task = MODELS.get(cell.model.name).task
        queries = rows // 10 if task == "session_based" else users
        weights, (kept, measured) = self._weight_bytes(cell), _kept_and_measured(cell)
        memory = TRAINING_COPIES * weights + rows * BYTES_PER_ROW
        memory += 3 * 4 * default_block(items) * items
        memory_mb, gpu_mb = (base + memory // 2**20 for base in (PROCESS_MB, CUDA_MB))
        workers, shards = self._workers(cell, memory, gpu_mb), self._shards(cell)
        work = self._serving(cell, task, shards) if _serves_chain(cell) else Work()
        if _trains(cell):
            helpers = TEAM_SHARE * workers if workers else max(1, shards)
            work += self._training(cell, task).times(1 / helpers)
        if cell.audit is not None:
            work = Work(small=SECONDS_PER_AUDIT)
        work += Work(dense=measured * queries * items * SECONDS_PER_SCORE)
        return Estimate(
            seconds=SECONDS_TO_START + work.seconds(self.machine),
            memory_mb=memory_mb,
            gpu_share=1.0 if workers else gpu_share(gpu_mb, self.machine),
            stored_bytes=kept * weights + measured * queries * RANKED_BYTES,
            workers=workers,
            shards=shards,
            gpu_mb=gpu_mb,
        )

    def _workers(self, cell: Cell, memory: int, gpu_mb: int) -> int:
        machine = self.machine
        if cell.method.name != BASE:
            return 0
        needed = 1
        while machine.gpus and needed < machine.gpus and needed * machine.gpu_mb < gpu_mb:
            needed *= 2
        asked = machine.train_workers if memory > machine.train_workers_above_gb * 1e9 else 0
        return max(asked, needed if needed > 1 else 0)

    def _shards(self, cell: Cell) -> int:
        if cell.audit is not None or not self.machine.shard_workers:
            return 0
        return int(cell.method.settings.get("shards", 0))

    def _training(self, cell: Cell, task: str) -> Work:
        rows, users, items = self._size(cell.dataset)
        kind = MODELS.get(cell.model.name)
        examples = users if task == "next_basket" else 0.8 * rows
        usual = SECONDS_PER_EXAMPLE.get(task, SLOW_EXAMPLE)
        small = examples * getattr(kind, "seconds_per_example", usual)
        if not kind.learns:
            return Work(small=small)
        dense = examples * items * SECONDS_PER_ITEM.get(task, SLOW_ITEM)
        steps = examples / cell.training.batch_size * SECONDS_PER_STEP
        return Work(dense, small, steps).times(cell.training.epochs)

    def _serving(self, cell: Cell, task: str, shards: int) -> Work:
        """All requests of a chain."""
        _, _, items = self._size(cell.dataset)
        dense = REQUEST_EXAMPLES * items * SECONDS_PER_ITEM.get(task, SLOW_ITEM)
        one = Work(dense=dense, small=SECONDS_PER_REQUEST.get(task, SLOW_REQUEST))
        wishes, batch = self._wishes(cell), _batch(cell)
        requests = max(1.0, wishes / batch, NUM_MARKS if batch > 1 else 1)
        requests /= 2 if cell.shadow else 1
        if _trains(cell):
            per_wish = SHARD_SHARE / cell.method.settings.get("shards", 1)
            share = min(1.0, per_wish * min(batch, wishes / requests))
            side_by_side = max(1.0, shards * share)
            one += self._training(cell, task).times(share / side_by_side)
        return one.times(requests * LIGHT.get(cell.method.name, 1.0))

    def _size(self, dataset: Part) -> tuple[int, int, int]:
        if id(dataset) not in self._sizes:
            size = dataset.build(DATASETS).rough_size
            self._sizes[id(dataset)] = (dataset, size)
        return self._sizes[id(dataset)][1]

    def _wishes(self, cell: Cell) -> float:
        key = (id(cell.dataset), id(cell.scenario))
        if key not in self._chains:
            rows, users, _ = self._size(cell.dataset)
            number = cell.make_scenario().rough_requests(rows, users) if cell.scenario else 1.0
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
    if cell.audit is not None:
        return False
    if cell.method.name in NO_METHOD:
        return cell.method.name == BASE
    return not cell.method.kind(METHODS).needs_base


def _serves_chain(cell: Cell) -> bool:
    if cell.audit is not None:
        return False
    return cell.method.name not in NO_METHOD and not cell.method.kind(METHODS).per_mark


def _batch(cell: Cell) -> int:
    return int(cell.scenario.settings.get("batch", 1)) if cell.scenario else 1


def _kept_and_measured(cell: Cell) -> tuple[int, int]:
    """How many sets of weights a cell stores, and how often it is measured."""
    if cell.audit is not None:
        return 0, 0 if issubclass(AUDITS.get(cell.audit.name), ObservationAudit) else AUDIT_SCORES
    if cell.shadow is not None:
        return int(cell.method.name == BASE), 0
    if _serves_chain(cell):
        return NUM_MARKS, NUM_MARKS
    return {BASE: (1, 0), ORIGINAL: (0, 1)}.get(cell.method.name, (1, 1))
