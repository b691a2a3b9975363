"""What Ray reserves for a node: few classes, since a worker serves only one of them."""

from collections.abc import Iterable

from erase_ray.distributed.cluster import Cluster
from erase_ray.experiment.plan import Node

MB = 1_000_000
SMALLEST = 1000 * MB
STEP = 2

Resources = dict[str, float]
"""Amounts by Ray's names for them."""


class ResourceClasses:
    """Rounds what nodes need up to classes.

    If as many workers of the largest class as there are CPUs fit into the memory, all nodes are
    in that class and workers are reused for all. Else classes are powers of two. A node that is
    estimated above the largest machine gets all of that machine and is tried.
    """

    def __init__(self, nodes: Iterable[Node], cluster: Cluster) -> None:
        self._cluster = cluster
        listed = list(nodes)
        largest = max((self._memory(node) for node in listed), default=SMALLEST)
        self._same = largest if largest * cluster.cpus <= cluster.memory else None
        self.slots = self._slots(listed)

    def _slots(self, nodes: list[Node]) -> int:
        """How many nodes run at once, at most."""
        found = [float(self._cluster.cpus)]
        for resource, total in (("memory", self._cluster.memory), ("GPU", self._cluster.gpus)):
            least = min((self.of(node).get(resource, 0.0) for node in nodes), default=0.0)
            if least:
                found.append(total / least)
        return max(1, int(min(found)))

    def of(self, node: Node) -> Resources:
        """CPUs, GPUs and bytes of memory for ``node``."""
        memory = self._same or self._memory(node)
        needed: Resources = {"CPU": 1, "memory": memory}
        if self._cluster.gpus and node.cost.gpu_share:
            needed["GPU"] = node.cost.gpu_share
        return needed

    def _memory(self, node: Node) -> int:
        rounded = SMALLEST
        while rounded < node.cost.memory_mb * MB:
            rounded *= STEP
        return min(rounded, self._cluster.largest) if self._cluster.largest else rounded
