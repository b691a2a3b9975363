"""Who gets the next free place: a walk, what its nodes need, and what there is to give.

Knows nothing of Ray, so that the sweep, a simulation of it and the tests share one piece.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from erase_ray.experiment.plan import Node
from erase_ray.experiment.walk import ERROR, HUNG, MEMORY, Facts, Walk, settle

Bundles = list[dict[str, float]]
"""Amounts by Ray's names for them; the first is of the process itself, the rest of its helpers."""

NODE, WORKER = "node", "worker"
"""Why a worker was lost: its machine is gone; its process died."""
LIMITS = {NODE: None, WORKER: 5, HUNG: 2, MEMORY: 1, ERROR: 1}
"""How often a node is tried again after each of these; None for as often as it takes."""
SMALLER_TILE = 0.5
BUSY_S = 15.0
"""Until a node is offered again that another driver's worker holds."""
FINAL = (
    "SettingsError",
    "GridError",
    "ScenarioError",
    "DataError",
    "TrainingError",
    "UnknownNameError",
)
"""Errors that a second try cannot mend."""


class Room(Protocol):
    """What nodes need, and what there is for all of them together."""

    total: dict[str, float]

    def of(self, node: Node) -> Bundles:
        """What to reserve for ``node``."""
        ...

    def claims(self, node: Node) -> dict[str, float]:
        """All that ``node`` takes: the bundles, and what its helpers reserve for themselves."""
        ...


@dataclass(eq=False)
class Dispatcher:
    """Hands out the nodes of a walk, longest remaining path first, as far as there is room.

    Args:
        walk: Where the plan stands.
        room: What nodes need and what there is.
        ahead: How many nodes may be handed out beyond that, so that a place that gets free finds
            the next one waiting.
        clock: Seconds of a clock that never goes back.
    """

    walk: Walk
    room: Room
    ahead: int = 1
    clock: Callable[[], float] = time.monotonic
    tries: dict[str, Counter[str]] = field(default_factory=dict)
    _held: dict[str, Counter[str]] = field(default_factory=dict)
    _used: Counter[str] = field(default_factory=Counter)
    _changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _beyond: set[str] = field(default_factory=set)
    _later: list[tuple[float, str]] = field(default_factory=list)
    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True when nothing is handed out and nothing is left to hand out."""
        return self.walk.over and not self._later

    def offer(self) -> tuple[Node, dict[str, Any], Bundles] | None:
        """The next node with its payload and bundles; None to wait for a place or for a result."""
        self._bring_back()
        node = self.walk.peek()
        if node is None:
            return None
        bundles = self.room.of(node)
        need = Counter(self.room.claims(node))
        if not self._fits(need):
            if len(self._beyond) >= self.ahead:
                return None
            self._beyond.add(node.key)
        self.walk.next()
        self._held[node.key] = need
        self._used += need
        return node, node.payload | self._changes.get(node.key, {}), bundles

    def started(self, key: str) -> None:
        """A worker begins with a node."""
        self._beyond.discard(key)
        self.walk.start(key)

    def ended(self, key: str, facts: Facts) -> None:
        """A worker has told how a node ended: done, raised, or held by somebody else."""
        self._release(key)
        if facts.get("status") == "busy":
            self._postpone(key, facts["lease"])
        elif "error" in facts:
            kind = facts.get("kind", ERROR)
            self._again(key, kind, facts["error"], facts["trace"])
        else:
            self._changes.pop(key, None)
            settle(self.walk, key, facts)

    def lost(self, key: str, kind: str, reason: str) -> None:
        """The worker of a node is gone; ``kind`` is one of :data:`LIMITS`."""
        self._release(key)
        self._again(key, kind, reason, "")

    def _again(self, key: str, kind: str, error: str, trace: str) -> None:
        tries = self.tries.setdefault(key, Counter())
        tries[kind] += 1
        limit = LIMITS[kind]
        final = kind == ERROR and error.partition(":")[0] in FINAL
        if final or (limit is not None and tries[kind] > limit):
            self._changes.pop(key, None)
            self.walk.fail(key, error, trace)
            return
        change = self._changes.setdefault(key, {})
        change["attempt"] = tries.total()
        if kind == MEMORY:
            change["tile"] = SMALLER_TILE
        self.walk.again(key, kind, error, trace)

    def _postpone(self, key: str, lease: str) -> None:
        now = self.clock()
        if self._seen.get(key, ("", 0.0))[0] != lease:
            self._seen[key] = (lease, now)
        self.walk.withdraw(key)
        heapq.heappush(self._later, (now + BUSY_S, key))

    def _bring_back(self) -> None:
        now = self.clock()
        while self._later and self._later[0][0] <= now:
            key = heapq.heappop(self._later)[1]
            lease, since = self._seen[key]
            self._changes.setdefault(key, {})["seen"] = [lease, now - since]
            self.walk.release(key)

    def _release(self, key: str) -> None:
        self._beyond.discard(key)
        self._used.subtract(self._held.pop(key))

    def _fits(self, need: Counter[str]) -> bool:
        total = self.room.total
        return all(self._used[k] + v <= total.get(k, 0.0) + 1e-6 for k, v in need.items() if v)
