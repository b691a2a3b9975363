"""What Ray reserves for a node of a plan, on the cluster that is there or is promised."""

from collections.abc import Iterable

from erase_ray.distributed.cluster import Cluster
from erase_ray.experiment.plan import Node
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.room import MB, Classes, Resources

__all__ = ["MB", "ResourceClasses", "Resources"]


class ResourceClasses(Classes):
    """The room of a Ray cluster; see :class:`erase_ray.experiment.room.Classes`.

    Args:
        nodes: Those that are to be run.
        cluster: What is there.
        machine: What the grid is meant to run on. Counts only where it names an instance: then the
            cluster may have fewer machines at first, or none, and grow.
    """

    def __init__(
        self, nodes: Iterable[Node], cluster: Cluster, machine: Machine | None = None
    ) -> None:
        promised = machine if machine and machine.instance and not cluster.started else None
        super().__init__(nodes, cluster, promised)
