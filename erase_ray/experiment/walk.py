"""Go through a plan in the right order; a serial twin of the distributed sweep."""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import format_exc
from typing import Any

from erase_ray.experiment.plan import Node, Plan

MEMORY, ERROR, HUNG = "memory", "error", "hung"
"""Why a try came to nothing: it ran out of memory; it raised; it did not go on."""

Facts = dict[str, Any]
Execute = Callable[[dict[str, Any], str], Facts]


class Watcher:
    """Hears of everything that happens on a walk; does nothing by default."""

    def begin(self, walk: "Walk") -> None:
        """The walk is about to start."""

    def started(self, node: Node) -> None:
        """``node`` runs now; once more if its worker was lost and it is tried again."""

    def finished(self, node: Node, facts: Facts) -> None:
        """The result of ``node`` is in the store."""

    def failed(self, node: Node, error: str, trace: str) -> None:
        """``node`` is given up; ``error`` is one line."""

    def again(self, node: Node, kind: str, error: str, trace: str) -> None:
        """A try of ``node`` came to nothing, for a reason of some kind, and it is tried again."""

    def tick(self) -> None:
        """Some time has passed, about a tenth of a second."""

    def end(self) -> None:
        """The walk is over, or was interrupted."""


@dataclass
class Walk:
    """Where a walk through a plan stands.

    A node is ready when all its pending parents are finished; of those the one with the longest
    remaining path is handed out first. What needs a failed node is blocked.
    """

    plan: Plan
    watchers: Sequence[Watcher] = ()
    handed: set[str] = field(default_factory=set)
    """Nodes that were handed out and are not settled; those in ``running`` among them."""
    running: dict[str, float] = field(default_factory=dict)
    """When each node that runs now was started, seconds of the monotonic clock."""
    done: dict[str, Facts] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    """Key of the failed node that each blocked one needs."""

    def __post_init__(self) -> None:
        nodes = self.plan.nodes
        self._left = {
            node.key: sum(nodes[parent].needed for parent in node.parents)
            for node in self.plan.pending()
        }
        self.total = len(self._left)
        self._order = {key: place for place, key in enumerate(self._left)}
        self._ready: list[tuple[float, int, str]] = []
        for key, count in self._left.items():
            if count == 0:
                self.release(key)

    @property
    def over(self) -> bool:
        """True when nothing is handed out and nothing is left to hand out."""
        return not self.handed and not self._ready

    @property
    def left(self) -> int:
        """How many nodes are neither running nor settled."""
        settled = len(self.done) + len(self.failures) + len(self.blocked)
        return self.total - settled - len(self.running)

    def peek(self) -> Node | None:
        """What :meth:`next` would hand out."""
        return self.plan.nodes[self._ready[0][2]] if self._ready else None

    def next(self) -> Node | None:
        """The node to start next, or None if all that is left waits for something handed out."""
        if not self._ready:
            return None
        key = heapq.heappop(self._ready)[2]
        self.handed.add(key)
        return self.plan.nodes[key]

    def start(self, key: str) -> None:
        """Take note that a node that was handed out begins to run."""
        self.running[key] = time.monotonic()
        for watcher in self.watchers:
            watcher.started(self.plan.nodes[key])

    def finish(self, key: str, facts: Facts) -> None:
        """Take note that a node's result is in the store."""
        self.withdraw(key)
        self.done[key] = facts
        for child in self.plan.children[key]:
            if child in self._left:
                self._left[child] -= 1
                if self._left[child] == 0 and child not in self.blocked:
                    self.release(child)
        for watcher in self.watchers:
            watcher.finished(self.plan.nodes[key], facts)

    def fail(self, key: str, error: str, trace: str = "") -> None:
        """Take note that a node raised; what needs it is blocked from now on."""
        self.withdraw(key)
        self.failures[key] = error
        todo = [key]
        while todo:
            for child in self.plan.children[todo.pop()]:
                if child in self._left and child not in self.blocked:
                    self.blocked[child] = key
                    todo.append(child)
        for watcher in self.watchers:
            watcher.failed(self.plan.nodes[key], error, trace)

    def again(self, key: str, kind: str, error: str, trace: str = "") -> None:
        """Take note that a try came to nothing; the node is handed out once more."""
        self.withdraw(key)
        self.release(key)
        for watcher in self.watchers:
            watcher.again(self.plan.nodes[key], kind, error, trace)

    def reorder(self) -> None:
        """Order what is ready by the estimates that the plan has now."""
        waiting = [key for _, _, key in self._ready]
        self._ready = []
        for key in waiting:
            self.release(key)

    def withdraw(self, key: str) -> None:
        """Take back a node that was handed out; :meth:`release` brings it up again."""
        self.handed.remove(key)
        self.running.pop(key, None)

    def release(self, key: str) -> None:
        """Let a node be handed out, when its turn comes."""
        path = self.plan.remaining_path(key)
        heapq.heappush(self._ready, (-path, self._order[key], key))


def attempt(execute: Execute, payload: dict[str, Any], storage: str) -> Facts:
    """What ``execute`` returns, or ``error`` (one line), ``kind`` and ``trace`` if it raises.

    ``kind`` is ``memory`` if there was not enough of it, on whatever device, else ``error``.
    """
    try:
        return execute(payload, storage)
    except Exception as error:
        text = " ".join(str(error).split())
        kind = MEMORY if _is_out_of_memory(error) else ERROR
        return {"error": f"{type(error).__name__}: {text}", "kind": kind, "trace": format_exc()}


def _is_out_of_memory(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}"
    signs = ("OutOfMemoryError", "out of memory", "can't allocate memory", "ArrayMemoryError")
    return isinstance(error, MemoryError) or any(sign in text for sign in signs)


def settle(walk: Walk, key: str, facts: Facts) -> None:
    """Tell the walk what :func:`attempt` returned."""
    if "error" in facts:
        walk.fail(key, facts["error"], facts.get("trace", ""))
    else:
        walk.finish(key, facts)


def run_serial(
    plan: Plan, storage: str, execute: Execute, watchers: Sequence[Watcher] = ()
) -> Walk:
    """Run what is pending in this process, one node after the other.

    Args:
        plan: What to run.
        storage: Address of the store.
        execute: Runs the payload of a node, such as :func:`erase_ray.experiment.run.run_node`.
        watchers: Hear of every step.
    """
    walk = Walk(plan, watchers)
    with watched(walk):
        while node := walk.next():
            walk.start(node.key)
            settle(walk, node.key, attempt(execute, node.payload, storage))
    return walk


@contextmanager
def watched(walk: Walk) -> Iterator[None]:
    """Tell the watchers when a walk begins and ends."""
    for watcher in walk.watchers:
        watcher.begin(walk)
    try:
        yield
    finally:
        for watcher in walk.watchers:
            watcher.end()
