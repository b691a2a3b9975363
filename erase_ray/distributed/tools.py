"""The help that a worker can give to a cell: actors for its shards, processes for its training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from erase_ray.distributed.base_training import RayTrainer
from erase_ray.distributed.shard_pool import ActorPool
from erase_ray.experiment.results import BASE
from erase_ray.experiment.tools import ALONE, Tools


@contextmanager
def tools_for(payload: dict[str, Any]) -> Iterator[Tools]:
    """What the node of ``payload`` may use, for the length of the ``with`` statement.

    Args:
        payload: Of a node. With ``workers`` so many processes train a base model, each of which
            needs the resources ``worker``; with ``shards`` so many actors train shards, in the
            bundles of the worker's placement group.
    """
    if payload.get("workers") and payload["cell"]["method"]["name"] == BASE:
        yield Tools(trainer=RayTrainer(payload["workers"], payload["worker"]))
    elif payload.get("shards"):
        with ActorPool() as pool:
            yield Tools(pool=pool)
    else:
        yield ALONE
