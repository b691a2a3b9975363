"""How long a plan takes, at least and about, with the room that there is."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from erase_ray.experiment.plan import Node, Plan

Seconds = Callable[[Node], float]


class Claiming(Protocol):
    """What nodes take, and what there is."""

    total: dict[str, float]

    def claims(self, node: Node) -> dict[str, float]:
        """All that ``node`` takes while it runs."""
        ...


@dataclass(frozen=True)
class Bound:
    """Seconds that no order can beat.

    Args:
        work: By resource: all that is claimed, times seconds, over what there is, after the
            earliest moment at which it can begin.
        path: The longest chain of nodes that wait for each other.
    """

    work: dict[str, float]
    path: float

    @property
    def seconds(self) -> float:
        """The largest of them."""
        return max([self.path, *self.work.values()])

    @property
    def cause(self) -> str:
        """What is the limit: a resource, or the longest chain."""
        return max([("longest chain", self.path), *self.work.items()], key=lambda one: one[1])[0]


def expected(node: Node) -> float:
    """Seconds by the plan."""
    return node.cost.seconds


def lower_bound(plan: Plan, room: Claiming, seconds: Seconds = expected) -> Bound:
    """What no order can beat, start-up and moves of data left out.

    For each resource, what cannot begin before some moment has to be done after it, and then what
    waits for its last part; so the bound is the largest of moment + work that begins later. The
    same holds from behind.
    """
    early, tails = _heads(plan, seconds), _tails(plan, seconds)
    path = max((early[n.key] + tails[n.key] for n in plan.pending()), default=0.0)
    behind = {node.key: tails[node.key] - seconds(node) for node in plan.pending()}
    work: dict[str, float] = {}
    for moments in (early, behind):
        left: dict[str, float] = {}
        for node in sorted(plan.pending(), key=lambda node: -moments[node.key]):
            for name, amount in room.claims(node).items():
                if amount:
                    left[name] = left.get(name, 0.0) + amount * seconds(node) / room.total[name]
                    work[name] = max(work.get(name, 0.0), moments[node.key] + left[name])
    return Bound(work, path)


def _heads(plan: Plan, seconds: Seconds) -> dict[str, float]:
    """When each pending node can begin at the earliest."""
    early: dict[str, float] = {}
    for node in plan.pending():
        waits = (early[p] + seconds(plan.nodes[p]) for p in node.parents if p in early)
        early[node.key] = max(waits, default=0.0)
    return early


def _tails(plan: Plan, seconds: Seconds) -> dict[str, float]:
    """Seconds of the longest chain that begins with each pending node."""
    tails: dict[str, float] = {}
    for node in reversed(plan.pending()):
        after = (tails[child] for child in plan.children[node.key] if child in tails)
        tails[node.key] = seconds(node) + max(after, default=0.0)
    return tails


def makespan(plan: Plan, room: Claiming) -> float:
    """Seconds until all is done if the longest path goes first and the first in line waits.

    Machines are taken as one; see :mod:`.simulate` for what comes of their borders.
    """
    pending = plan.pending()
    left = {n.key: sum(plan.nodes[p].needed for p in n.parents) for n in pending}
    ready = [(-plan.remaining_path(key), key) for key, count in left.items() if count == 0]
    heapq.heapify(ready)
    free = dict(room.total)
    running: list[tuple[float, str, dict[str, float]]] = []
    now = 0.0
    while ready or running:
        while ready and _take(free, needed := room.claims(plan.nodes[ready[0][1]])):
            key = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + plan.nodes[key].cost.seconds, key, needed))
        if not running:
            heapq.heappop(ready)  # larger than all there is; nobody can run it
            continue
        now, key, needed = heapq.heappop(running)
        for name, amount in needed.items():
            free[name] += amount
        for child in plan.children[key]:
            if child in left:
                left[child] -= 1
                if left[child] == 0:
                    heapq.heappush(ready, (-plan.remaining_path(child), child))
    return now


def _take(free: dict[str, float], needed: dict[str, float]) -> bool:
    """Take ``needed`` away, if all of it is there."""
    if any(free.get(name, 0.0) + 1e-6 < amount for name, amount in needed.items()):
        return False
    for name, amount in needed.items():
        free[name] -= amount
    return True
