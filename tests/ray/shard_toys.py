"""Jobs on planted data, and a cell in a placement group, for the tests of the pool of actors."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import ray
import torch

from erase_ray import seeds
from erase_ray.distributed.shard_pool import ActorPool
from erase_ray.methods._shard_pool import ShardJob, Slice, Weights
from erase_ray.methods._sisa_partition import random_shards
from erase_ray.methods._sisa_plan import slice_epochs, slices_of
from erase_ray.models import MODELS
from tests.conftest import make_model, planted


def jobs_of(name: str, num_slices: int = 2, epochs: int = 2) -> list[ShardJob]:
    """Jobs of three shards of a model on planted data."""
    data = planted(MODELS.get(name).task)
    table, model = data.interactions, make_model(name, data)
    shard_U = random_shards(table.num_users, 3, seed=1)
    slice_U = slices_of(shard_U, num_slices, seed=2)
    training = MODELS.get(name).training.model_copy(
        update={"batch_size": 64, "learning_rate": 5e-3}
    )
    jobs = []
    for shard in range(3):
        own = table.of_users(np.flatnonzero(shard_U == shard))
        jobs.append(
            ShardJob(
                shard=shard,
                model=name,
                settings=model.settings.model_dump(),
                shape=model.shape,
                task=data.task,
                training=training,
                passes=slice_epochs(epochs, num_slices),
                first_slice=0,
                start=None,
                interactions=own,
                marks=data.split.of(own),
                slices=slice_U[np.unique(own.user)],
                seed=seeds.derive(9, "shard", shard),
                device="cpu",
            )
        )
    return jobs


def spoiled(job: ShardJob) -> ShardJob:
    """``job`` from its second slice on, from weights that are not finite."""
    weights = {name: torch.full_like(t, float("inf")) for name, t in job.run().weights[0].items()}
    return replace(job, first_slice=1, start=weights)


class _Killing(ShardJob):
    def each(self, should_stop=lambda: False) -> Iterator[Slice]:
        """The first slice; whoever trains the second dies."""
        if not self.first_slice:
            yield next(super().each(should_stop))
        os._exit(1)


def killing(job: ShardJob) -> ShardJob:
    """``job``, which ends the process that trains its second slice."""
    return _Killing(**vars(job))


def differing(one: list[Weights], other: list[Weights]) -> list[str]:
    """Slices and names of tensors that are not the same, bit by bit."""
    assert len(one) == len(other)
    return [
        f"{number}/{name}"
        for number, (left, right) in enumerate(zip(one, other, strict=True))
        for name in left.keys() | right.keys()
        if not torch.equal(left[name], right[name])
    ]


class Cell:
    """Runs jobs with what its placement group gives, in a thread, as a trial does."""

    def run(self, name: str):
        """The results, and the placement group of each actor."""
        torch.set_num_threads(1)
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(self._run, name).result()

    def _run(self, name: str):
        with ActorPool() as pool:
            results = pool.run(jobs_of(name), lambda: False)
            groups = [ray.get(seat.actor.__ray_call__.remote(_group)) for seat in pool._open or []]
        return results, groups


def _group(actor) -> str:
    """The placement group that an actor sits in."""
    return ray.get_runtime_context().get_placement_group_id()
