"""What nodes take by what was measured, where something was; by their size elsewhere.

The logarithm of measured over estimated seconds is a sum of effects: of all nodes, of the kind (a
method), of model and dataset (apart for training and for serving requests), of kind and model, and
of all of these together. Effects are shrunk towards none, the more the fewer measurements they
have, so a new model on a known dataset is guessed from both, and a cell like one that was measured
is expected to take as long. Medians and bounded weights keep single outliers from mattering.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import numpy as np

from erase_ray.experiment.cost import CUDA_MB, NO_GPU, Estimate
from erase_ray.experiment.plan import BASE, DATA, Node, Plan
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.results import ORIGINAL, RETRAIN, SHADOW

KEPT = 25
"""Measurements of nodes that are alike; older ones are forgotten."""
SAMPLE = 3
"""Finished cells that are alike of which a store is asked."""
SHRINKAGE = (0.1, 1.0, 1.0, 1.0, 2.0, 0.5)
"""So many measurements of nothing are added to each effect, in the order of :func:`_effects`."""
WILD = 1.0
"""A logarithm that is off by more counts as less."""
SWEEPS = 30
MARGIN = 1.15
"""Memory that is reserved, over what was measured."""
TRAINED = (BASE, SHADOW, RETRAIN, "sisa")

Group = tuple[str, ...]


class Records(Protocol):
    """What a fit asks of a store."""

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of a finished cell."""
        ...

    def table(self, key: str, name: str) -> Any:
        """A table of a finished cell."""
        ...


@dataclass(eq=False)
class Fit:
    """Learns from nodes that have ended; costs little to ask at any time.

    Args:
        machine: What the nodes run on.
    """

    machine: Machine = NO_GPU
    _logs: dict[Group, deque[float]] = field(default_factory=dict)
    _memory: dict[Group, float] = field(default_factory=dict)
    _gpu_memory: dict[Group, float] = field(default_factory=dict)
    _effects: list[dict[Group, float]] = field(default_factory=list)
    _known: dict[Group, float] = field(default_factory=dict)
    _errors: list[tuple[float, float]] = field(default_factory=list)
    _seen: int = 0
    _next: int = 1

    @classmethod
    def of_store(cls, store: Records, plan: Plan, machine: Machine = NO_GPU) -> "Fit":
        """What the finished cells of a plan tell; a few of those that are alike are asked."""
        fit = cls(machine)
        alike: dict[Group, list[Node]] = defaultdict(list)
        for node in plan.nodes.values():
            group = _leaf(node)
            if node.done and node.kind != DATA and len(alike[group]) < SAMPLE:
                alike[group].append(node)
        nodes = [node for group in alike.values() for node in group]
        with ThreadPoolExecutor(16) as pool:
            found = pool.map(lambda node: measured(store, node.key), nodes)
            for node, facts in zip(nodes, found, strict=True):
                fit.observe(node, facts)
        fit._errors.clear()
        return fit

    def observe(self, node: Node, facts: dict[str, Any]) -> None:
        """Take note of how a node ended; what was not run to its end tells nothing.

        Args:
            node: The node.
            facts: ``seconds``, and if known ``status``, ``device``, ``peak_memory_mb`` (of the
                process) and ``gpu_memory_mb`` (of what the process has reserved of a GPU).
        """
        seconds = facts.get("seconds")
        if not seconds or facts.get("status", "done") != "done" or self._elsewhere(node, facts):
            return
        log = math.log(seconds / node.cost.prior)
        self._errors.append((log, log - self._log(node)))
        leaf = _leaf(node)
        self._logs.setdefault(leaf, deque(maxlen=KEPT)).append(log)
        self._seen += 1
        if peak := facts.get("peak_memory_mb"):
            # a process has served other nodes before, so the least of its peaks is nearest
            self._memory[leaf] = min(peak, self._memory.get(leaf, math.inf))
        if peak := facts.get("gpu_memory_mb"):
            self._gpu_memory[leaf] = max(peak, self._gpu_memory.get(leaf, 0.0))

    def seconds(self, node: Node) -> float:
        """What ``node`` is expected to take."""
        return node.cost.prior * math.exp(self._log(node))

    def estimate(self, node: Node) -> Estimate:
        """All that ``node`` is expected to need."""
        leaf, cost = _leaf(node), node.cost
        memory, gpu = self._memory.get(leaf), self._gpu_memory.get(leaf)
        return cost.refined(
            self.seconds(node),
            int(memory * MARGIN) if memory else cost.memory_mb,
            int(gpu * MARGIN) + CUDA_MB if gpu else cost.gpu_mb,
            self.machine,
        )

    def errors(self) -> dict[str, float]:
        """Factors by which estimates were off, before and after what had been measured by then.

        ``rough`` is by size alone, ``refined`` as :meth:`seconds` said just before a node ended;
        the ``median`` of each and the factor that nine of ten are within.
        """
        found: dict[str, float] = {"cells": len(self._errors)}
        for place, name in enumerate(("rough", "refined")):
            off = np.abs([pair[place] for pair in self._errors] or [0.0])
            found[f"{name}_median"] = float(np.exp(np.median(off)))
            found[f"{name}_p90"] = float(np.exp(np.quantile(off, 0.9)))
        return found

    def report(self) -> list[str]:
        """:meth:`errors` as text; nothing if nothing ended."""
        off = self.errors()
        if not off["cells"]:
            return []
        return [
            f"seconds of {off['cells']:.0f} nodes were estimated by size within a factor of "
            f"{off['rough_median']:.2f} (half of them) and {off['rough_p90']:.2f} (nine of ten), "
            f"and by what was measured before within {off['refined_median']:.2f} and "
            f"{off['refined_p90']:.2f}"
        ]

    def _elsewhere(self, node: Node, facts: dict[str, Any]) -> bool:
        """Whether a node that should run on a GPU did not, or the other way round."""
        device = facts.get("device")
        planned = "cuda" if self.machine.gpus and node.cost.gpu_share else "cpu"
        return device is not None and device != planned

    def _log(self, node: Node) -> float:
        if self._seen >= self._next:
            self._solve()
        leaf = _leaf(node)
        if leaf not in self._known:
            effects = zip(self._effects, _effects(leaf), strict=False)
            self._known[leaf] = sum(known.get(group, 0.0) for known, group in effects)
        return self._known[leaf]

    def _solve(self) -> None:
        self._next = self._seen + 1 + self._seen // 10
        self._effects = _solved({leaf: list(logs) for leaf, logs in self._logs.items()})
        self._known = {}


def _leaf(node: Node) -> Group:
    """What nodes have in common that are alike; seed, category and fraction do not matter."""
    if node.kind == DATA:
        return DATA, "", node.label, "", "serve"
    cell = node.payload.get("cell")
    if not cell:
        return node.kind, "", "", "", "serve"
    scenario = (cell.get("scenario") or {}).get("name", "")
    settings = cell["dataset"]["settings"]
    named = (str(settings[name]) for name in _NAMING if name in settings)
    dataset = "/".join([cell["dataset"]["name"], *named])
    family = "train" if node.kind in TRAINED else "serve"
    return node.kind, cell["model"]["name"], dataset, scenario, family


_NAMING = ("task", "of")
"""Settings that make another dataset of one that is made up."""


def _effects(leaf: Group) -> tuple[Group, ...]:
    kind, model, dataset, _, family = leaf
    return (), (kind,), (family, model), (family, dataset), (kind, model), leaf


def _solved(logs: dict[Group, list[float]]) -> list[dict[Group, float]]:
    """Effects by descent, one kind of them after the other; shape of the result as SHRINKAGE."""
    leaves = list(logs)
    log_L = np.array([median(values) for values in logs.values()])
    count_L = np.array([len(values) for values in logs.values()], float)
    groups = [list(dict.fromkeys(_effects(leaf)[n] for leaf in leaves)) for n in range(6)]
    places = [{group: at for at, group in enumerate(some)} for some in groups]
    index = [np.array([at[_effects(leaf)[n]] for leaf in leaves]) for n, at in enumerate(places)]
    effect = [np.zeros(len(some)) for some in groups]
    rest_L = log_L.copy()
    for _ in range(SWEEPS):
        for n, kappa in enumerate(SHRINKAGE):
            here_L = rest_L + effect[n][index[n]]
            weight_L = count_L * np.minimum(1.0, WILD / np.maximum(np.abs(rest_L), 1e-9))
            total = np.bincount(index[n], weight_L * here_L)
            effect[n] = total / (kappa + np.bincount(index[n], weight_L))
            rest_L = here_L - effect[n][index[n]]
    return [
        dict(zip(some, values.tolist(), strict=True))
        for some, values in zip(groups, effect, strict=True)
    ]


def measured(store: Records, key: str) -> dict[str, Any]:
    """What a finished cell says of its costs; ``seconds`` from its tables if it does not say."""
    facts = dict(store.manifest(key)["facts"])
    if "seconds" not in facts and facts["method"] != ORIGINAL:
        facts["seconds"] = facts.get("seconds_train") or _seconds_of(store.table(key, "costs"))
        facts["seconds"] += facts.get("seconds_begin", 0.0)
    return facts


def _seconds_of(costs: Any) -> float:
    """Training, or all phases of all requests up to the last mark."""
    rows: Iterable[Any] = costs[costs["mark"] == costs["mark"].max()].itertuples()
    each = ("seconds_data", "seconds_algorithm", "seconds_save")
    return sum(
        row.value * (row.n if row.metric in each else 1)
        for row in rows
        if row.metric in (*each, "seconds_train")
    )
