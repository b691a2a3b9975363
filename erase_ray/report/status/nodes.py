"""The nodes of a run: what each is, and what has become of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from erase_ray.errors import UnknownNameError
from erase_ray.experiment.plan import DATA
from erase_ray.models import MODELS

DONE, RUNNING, FAILED, BLOCKED, LEFT = "done", "running", "failed", "blocked", "left"


@dataclass(frozen=True)
class NodeInfo:
    """A node of the plan as a status sees it.

    Args:
        key: Of the cell, or of the prepared dataset.
        label: For people.
        task: Of its model.
        dataset: What plans call the dataset.
        model: Empty for data.
        method: ``data``, the method of the cell, or what plans count it as.
        seconds: What it was expected to take.
        gpu_share: Of one GPU, that it was expected to use.
        parents: Keys of the nodes that it needs.
        was_done: Whether the store had it when the last driver began.
    """

    key: str
    label: str
    task: str
    dataset: str
    model: str
    method: str
    seconds: float
    gpu_share: float
    parents: tuple[str, ...]
    was_done: bool


@dataclass(frozen=True)
class Tally:
    """How many nodes there are, by what has become of them."""

    all: int = 0
    done: int = 0
    running: int = 0
    failed: int = 0
    blocked: int = 0
    left: int = 0

    @property
    def share_done(self) -> float:
        """From 0 to 1; 1 if there are none."""
        return self.done / self.all if self.all else 1.0

    @classmethod
    def of(cls, states: Iterable[str]) -> "Tally":
        """Counts of states."""
        counts = Counter(states)
        return cls(all=counts.total(), **counts)


@dataclass(frozen=True)
class States:
    """Keys of nodes by what has become of them."""

    done: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)

    def of(self, node: NodeInfo) -> str:
        """``done``, ``running``, ``failed``, ``blocked`` or ``left``."""
        if node.was_done or node.key in self.done:
            return DONE
        if node.key in self.running:
            return RUNNING
        if node.key in self.failed:
            return FAILED
        return BLOCKED if node.key in self.blocked else LEFT


def read_nodes(plan: Iterable[Mapping[str, Any]]) -> list[NodeInfo]:
    """The nodes that are done or have to be run; runs before a version told less of each."""
    listed = [node for node in plan if node["done"] or node["needed"]]
    found = [_node(node) for node in listed]
    tasks = {node.dataset: node.task for node in found if node.task}
    return [
        node if node.task else replace(node, task=tasks.get(node.dataset, "unknown task"))
        for node in found
    ]


def tallies(
    nodes: Iterable[NodeInfo], states: States, group: Callable[[NodeInfo], Any]
) -> dict[Any, Tally]:
    """Counts of nodes by what ``group`` says of them, in the order in which that comes up."""
    found: dict[Any, list[str]] = {}
    for node in nodes:
        found.setdefault(group(node), []).append(states.of(node))
    return {name: Tally.of(listed) for name, listed in found.items()}


def _node(plain: Mapping[str, Any]) -> NodeInfo:
    names = plain["label"].split("/")
    is_data = plain["kind"] == DATA
    dataset = plain.get("dataset", names[-1] if is_data else names[0])
    model = plain.get("model", names[1] if len(names) > 2 and not is_data else "")
    return NodeInfo(
        key=plain["key"],
        label=plain["label"],
        task=plain.get("task") or _task(model),
        dataset=dataset,
        model=model,
        method=plain["kind"],
        seconds=plain["seconds"],
        gpu_share=plain.get("gpu_share", 0.0),
        parents=tuple(plain["parents"]),
        was_done=plain["done"],
    )


def _task(model: str) -> str:
    try:
        return MODELS.get(model).task if model else ""
    except UnknownNameError:  # of a package that is not installed here
        return ""
