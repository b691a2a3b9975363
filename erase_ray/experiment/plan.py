"""The cells of a grid as a graph: data, base models, and what starts from them."""

import hashlib
import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from erase_ray.experiment import lineage
from erase_ray.experiment.cell import Cell, data_key, title
from erase_ray.experiment.cost import NO_GPU, CostModel, Estimate
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.results import BASE

DATA = "data"


class Shelf(Protocol):
    """What a plan asks of a store."""

    def done_cells(self) -> set[str]:
        """Keys of all committed cells."""
        ...

    def has_data(self, dataset: str, key: str) -> bool:
        """True if the prepared dataset is there."""
        ...


class Costs(Protocol):
    """What is known by now of the costs of nodes, see :mod:`erase_ray.experiment.fit`."""

    def estimate(self, node: "Node") -> Estimate:
        """What ``node`` is expected to need."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """One thing to do.

    Args:
        key: Of the cell, or of the prepared dataset.
        kind: ``data``, or the method of the cell (``base``, ``original``, ``scif``, ...),
            ``shadow`` for one of a shadow model, the name of the audit for an audit.
        label: For people.
        payload: What :func:`erase_ray.experiment.run.run_node` takes; plain JSON values.
        parents: Keys of the nodes whose results it reads.
        cost: What it is expected to need.
        requested: True for the cells of the grid, False for what they need.
        done: True if the store has it.
        needed: True if it has to be run.
    """

    key: str
    kind: str
    label: str
    payload: dict[str, Any]
    parents: tuple[str, ...]
    cost: Estimate
    requested: bool
    done: bool
    needed: bool = False


class Plan:
    """Nodes by key, parents before children."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._spans: dict[int, float] = {}
        listed = list(nodes)
        needed: set[str] = set()
        for node in reversed(listed):
            if not node.done and (node.requested or node.key in needed):
                needed.add(node.key)
                needed.update(node.parents)
        self.nodes = {
            node.key: replace(node, needed=node.key in needed and not node.done) for node in listed
        }

    def __len__(self) -> int:
        return len(self.nodes)

    def pending(self) -> list[Node]:
        """What is left to run, parents before children."""
        return [node for node in self.nodes.values() if node.needed]

    @property
    def requested(self) -> list[Node]:
        """The cells of the grid."""
        return [node for node in self.nodes.values() if node.requested]

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """Keys of the nodes that read a node's result."""
        found: dict[str, list[str]] = {key: [] for key in self.nodes}
        for node in self.nodes.values():
            for parent in node.parents:
                found[parent].append(node.key)
        return found

    def remaining_path(self, key: str) -> float:
        """Seconds of the longest chain of pending nodes that begins at ``key``."""
        return self._paths[key]

    @property
    def critical_path(self) -> float:
        """Seconds of the longest chain of pending nodes."""
        return max(self._paths.values(), default=0.0)

    @cached_property
    def _paths(self) -> dict[str, float]:
        paths: dict[str, float] = {}
        for key, node in reversed(self.nodes.items()):
            after = max((paths[child] for child in self.children[key]), default=0.0)
            paths[key] = after + (node.cost.seconds if node.needed else 0.0)
        return paths

    def refresh(self, costs: Costs) -> None:
        """Estimate what is left to run anew; a walk has to order what it holds once more."""
        for key, node in self.nodes.items():
            if node.needed:
                self.nodes[key] = replace(node, cost=costs.estimate(node))
        self._spans.clear()
        self.__dict__.pop("_paths", None)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what is asked for; the same grid has the same one, however much is done."""
        text = "\n".join(sorted(node.key for node in self.requested))
        return hashlib.sha256(text.encode()).hexdigest()

    def makespan(self, slots: int) -> float:
        """Seconds until all is done if ``slots`` nodes run at a time, longest path first."""
        if slots not in self._spans:
            self._spans[slots] = self._simulate(slots)
        return self._spans[slots]

    def _simulate(self, slots: int) -> float:
        left = {n.key: sum(self.nodes[p].needed for p in n.parents) for n in self.pending()}
        ready = [(-self._paths[key], key) for key, count in left.items() if count == 0]
        heapq.heapify(ready)
        running: list[tuple[float, str]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < slots:
                _, key = heapq.heappop(ready)
                heapq.heappush(running, (now + self.nodes[key].cost.seconds, key))
            now, key = heapq.heappop(running)
            for child in self.children[key]:
                if child in left:
                    left[child] -= 1
                    if left[child] == 0:
                        heapq.heappush(ready, (-self._paths[child], child))
        return now

    def to_json(self) -> str:
        """The graph with its estimates, one node a line; settings lie beside the results."""
        lines = [json.dumps(_plain(node)) for node in self.nodes.values()]
        return '{"nodes": [\n' + ",\n".join(lines) + "\n]}\n"


def build(cells: Iterable[Cell], store: Shelf | None = None, machine: Machine = NO_GPU) -> Plan:
    """The plan of ``cells`` and of what they need; time and memory grow with their number.

    Args:
        cells: In any order; a cell that is listed twice is run once.
        store: Marks what it has as done; without one, nothing is.
        machine: What it is to run on; seconds are those of its GPUs, if it has any.
    """
    builder = _Builder(store, CostModel(machine))
    for cell in cells:
        builder.add(cell)
    levels = (builder.data, builder.bases, builder.helpers, builder.cells, builder.audits())
    return Plan(node for level in levels for node in level.values())


class _Builder:
    def __init__(self, store: Shelf | None, costs: CostModel) -> None:
        self.store = store
        self.done = store.done_cells() if store else set()
        self.costs = costs
        self.data: dict[str, Node] = {}
        self.bases: dict[str, Node] = {}
        self.helpers: dict[str, Node] = {}
        """What audits need and the grid does not ask for."""
        self.cells: dict[str, Node] = {}
        self._audits: dict[str, Cell] = {}
        self._asked: set[tuple[str, int, int]] = set()
        self._data_keys: dict[int, tuple[Any, str]] = {}
        self._base_keys: dict[tuple[int, ...], tuple[Cell, str]] = {}

    def add(self, cell: Cell) -> None:
        """Add a cell, its data and, where it needs one, its base."""
        key = cell.key
        if cell.audit is not None:
            self._audits[key] = cell
        elif key not in self.cells:
            self.cells[key] = self._node(cell, key, self._origins(cell), requested=True)

    def audits(self) -> dict[str, Node]:
        """The audits, once all other cells were added; what they need and is not there is added."""
        found = {}
        for key, cell in self._audits.items():
            origins = (self._data(cell), *(self._helper(each) for each in lineage.parents(cell)))
            self._ask(origins[0], cell)
            found[key] = self._node(cell, key, origins, requested=True)
        return found

    def _origins(self, cell: Cell) -> tuple[str, ...]:
        data = (self._data(cell),)
        self._ask(data[0], cell)
        return (self._base(cell, data), *data) if lineage.parents(cell) else data

    def _helper(self, cell: Cell) -> str:
        """Key of a cell that an audit reads."""
        if cell.method.name == BASE:
            return self._base(cell, (self._data(cell),))
        key = cell.key
        if key not in self.cells and key not in self.helpers:
            self.helpers[key] = self._node(cell, key, self._origins(cell), requested=False)
        return key

    def _data(self, cell: Cell) -> str:
        part = cell.dataset
        if id(part) not in self._data_keys:
            key = data_key(part)
            self._data_keys[id(part)] = (part, key)
            if key not in self.data:
                self.data[key] = Node(
                    key=key,
                    kind=DATA,
                    label=f"data/{title(part)}",
                    payload={"kind": "data", "dataset": part.model_dump(mode="json"), "asks": []},
                    parents=(),
                    cost=self.costs.of_data(part),
                    requested=False,
                    done=bool(self.store and self.store.has_data(part.name, key)),
                )
        return self._data_keys[id(part)][1]

    def _ask(self, data: str, cell: Cell) -> None:
        """Let the data node try the scenario, so that an impossible one fails before training."""
        if cell.scenario is None or (data, id(cell.scenario), cell.seed) in self._asked:
            return
        self._asked.add((data, id(cell.scenario), cell.seed))
        ask = {"scenario": cell.scenario.model_dump(mode="json"), "seed": cell.seed}
        self.data[data].payload["asks"].append(ask)

    def _base(self, cell: Cell, parents: tuple[str, ...]) -> str:
        parts = (cell.dataset, cell.model, cell.training, cell.scenario)
        shadow = (cell.shadow.index, cell.shadow.count) if cell.shadow else ()
        group = (*map(id, parts), cell.seed, *shadow)
        if group not in self._base_keys:
            base = cell.base
            key = base.key
            self._base_keys[group] = (cell, key)
            if key not in self.bases:
                self.bases[key] = self._node(base, key, parents, requested=False)
        return self._base_keys[group][1]

    def _node(self, cell: Cell, key: str, parents: tuple[str, ...], *, requested: bool) -> Node:
        return Node(
            key=key,
            kind=cell.kind,
            label=cell.label,
            payload={"kind": "cell", "cell": cell.model_dump(mode="json")},
            parents=parents,
            cost=self.costs.of_cell(cell),
            requested=requested,
            done=key in self.done,
        )


def _plain(node: Node) -> dict[str, Any]:
    return {
        "key": node.key,
        "kind": node.kind,
        "label": node.label,
        "parents": node.parents,
        "seconds": round(node.cost.seconds, 3),
        "memory_mb": node.cost.memory_mb,
        "gpu_share": node.cost.gpu_share,
        "stored_bytes": node.cost.stored_bytes,
        "done": node.done,
        "needed": node.needed,
    }
