"""What is reserved for a node, and what there is: few classes, since a worker serves only one.

Knows nothing of Ray but its names for resources; the sweep, the plan and a simulation share it.
"""

from collections.abc import Iterable
from typing import Protocol

from erase_ray.experiment.plan import Node

MB = 1_000_000
SMALLEST = 1000 * MB
STEP = 2

Resources = dict[str, float]
"""Amounts by Ray's names for them."""


class Capacity(Protocol):
    """What machines have together."""

    @property
    def cpus(self) -> int:
        """CPUs."""
        ...

    @property
    def gpus(self) -> float:
        """GPUs."""
        ...

    @property
    def memory(self) -> int:
        """Bytes for workers; 0 if it is not known, and then it is no limit."""
        ...

    @property
    def largest(self) -> int:
        """Bytes for workers on the machine that has most; 0 if it is not known."""
        ...


class Classes:
    """Rounds what nodes need up to classes, and says what there is for all of them together.

    Nodes that take the same share of a GPU are of one class if as many workers of the largest of
    them as can run at once fit into the memory, and then workers are reused for all of them. Else
    their classes are powers of two of memory. A node that is estimated above the largest machine
    gets all of that machine and is tried.

    Args:
        nodes: Those that are to be run.
        cluster: What is there.
        promised: What there will be once machines are asked for, where their number follows the
            work; of each resource the larger one counts.
    """

    total: Resources
    """What all nodes may take together."""

    def __init__(
        self, nodes: Iterable[Node], cluster: Capacity, promised: Capacity | None = None
    ) -> None:
        self._promised = promised
        listed = list(nodes)
        self.resize(cluster)
        self._largest = max(cluster.largest, promised.largest if promised else 0)
        self._same = self._one_size(listed)
        self.slots = self._slots(listed)

    def resize(self, cluster: Capacity) -> None:
        """Take note of what is there now."""
        there = [one for one in (cluster, self._promised) if one]
        self.total = {
            "CPU": float(max(one.cpus for one in there)),
            "GPU": float(max(one.gpus for one in there)),
        }
        if all(one.memory for one in there if one.cpus):
            self.total["memory"] = float(max(one.memory for one in there))

    def of(self, node: Node) -> list[Resources]:
        """What to reserve for ``node``: its own process first, then one for each of its shards.

        The one that waits for those which train a base model together has all of it in the end.
        """
        if self.workers(node):
            return [{name: amount for name, amount in self._one(node).items() if name != "GPU"}]
        return [self._one(node)] * (1 + self.shards(node))

    def claims(self, node: Node) -> Resources:
        """All that ``node`` takes, with what its training workers reserve for themselves."""
        workers, bundles = self.workers(node), self.of(node)
        if workers:
            return _sum([*bundles, *[self.worker(node)] * workers])
        return bundles[0] if len(bundles) == 1 else _sum(bundles)

    def worker(self, node: Node) -> Resources:
        """What each of the processes takes that train ``node`` together."""
        return self._one(node)

    def workers(self, node: Node) -> int:
        """How many processes train ``node`` together, as far as there is room; 0: its own does."""
        if not node.cost.workers:
            return 0
        spare = self.total["CPU"] - 1
        most = min(node.cost.workers, int(self.total["GPU"] or spare), int(spare))
        return most if most > 1 else 0

    def shards(self, node: Node) -> int:
        """How many processes train shards of ``node``, as far as there is room; 0: its own does."""
        if not node.cost.shards:
            return 0
        one = self._one(node)
        places = min(self.total.get(name, 0.0) // amount for name, amount in one.items() if amount)
        most = min(node.cost.shards, int(places) - 1)
        return most if most > 1 else 0

    def _one(self, node: Node) -> Resources:
        share = self._share(node)
        needed: Resources = {"CPU": 1}
        if "memory" in self.total:
            needed["memory"] = self._same.get(share) or self._memory(node)
        if share:
            needed["GPU"] = share
        return needed

    def _share(self, node: Node) -> float:
        return node.cost.gpu_share if self.total["GPU"] else 0.0

    def _memory(self, node: Node) -> int:
        rounded = SMALLEST
        while rounded < node.cost.memory_mb * MB:
            rounded *= STEP
        return min(rounded, self._largest) if self._largest else rounded

    def _one_size(self, nodes: list[Node]) -> dict[float, int]:
        largest: dict[float, int] = {}
        for node in nodes:
            share = self._share(node)
            largest[share] = max(largest.get(share, 0), self._memory(node))
        limit = self.total.get("memory")
        return {
            share: memory
            for share, memory in largest.items()
            if limit is None or memory * self._places(share) <= limit
        }

    def _places(self, share: float) -> float:
        return min(self.total["CPU"], self.total["GPU"] / share if share else self.total["CPU"])

    def _slots(self, nodes: list[Node]) -> int:
        """How many nodes run at once, at most."""
        found = [self.total["CPU"]]
        for resource in ("memory", "GPU"):
            least = min((self.of(node)[0].get(resource, 0.0) for node in nodes), default=0.0)
            if least and resource in self.total:
                found.append(self.total[resource] / least)
        return max(1, int(min(found)))


def _sum(bundles: Iterable[Resources]) -> Resources:
    total: Resources = {}
    for bundle in bundles:
        for name, amount in bundle.items():
            total[name] = total.get(name, 0.0) + amount
    return total
