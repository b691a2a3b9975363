"""Shards trained by actors side by side, against one after the other in one process.

    python benchmarks/shards.py
    python benchmarks/shards.py --shards 4 --actors 2 --users 8000 --model lightgcn

Prints seconds and processor seconds of both, and the ratio of the serial processor seconds to those
of the busiest actor: how much faster the actors are where each has a CPU of its own, whatever else
the machine does. Weights are compared bit by bit.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from erase_ray import seeds
from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.distributed.shard_pool import ActorPool
from erase_ray.methods._shard_pool import SerialPool, ShardJob, ShardResult
from erase_ray.methods._sisa_partition import random_shards
from erase_ray.methods._sisa_plan import slice_epochs, slices_of
from erase_ray.models import MODELS, Shape
from erase_ray.tasks import TASKS

SLICES = 4
EPOCHS = 8


def jobs_of(options: argparse.Namespace) -> list[ShardJob]:
    """A job a shard, on planted data."""
    kind = MODELS.get(options.model)
    settings = {"task": kind.task, "num_users": options.users, "num_items": options.items}
    planted = DATASETS.get("planted")
    dataset = planted(planted.Settings(**settings))
    with tempfile.TemporaryDirectory() as folder:
        raw = dataset.read({}, Scratch(Path(folder)))
        data = prepare(dataset, raw, TASKS.get(kind.task)().split)
    table = data.interactions
    shard_U = random_shards(table.num_users, options.shards, seed=1)
    slice_U = slices_of(shard_U, SLICES, seed=2)
    jobs = []
    for shard in range(options.shards):
        own = table.of_users(np.flatnonzero(shard_U == shard))
        jobs.append(
            ShardJob(
                shard=shard,
                model=options.model,
                settings=kind.Settings().model_dump(),
                shape=Shape(table.num_users, table.num_items),
                task=kind.task,
                training=kind.training.model_copy(update={"batch_size": 256}),
                passes=slice_epochs(EPOCHS, SLICES),
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


def used(actor: Any = None) -> float:
    """Processor seconds of an actor's process so far, or of this one."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def same(ones: list[ShardResult], others: list[ShardResult]) -> bool:
    """Whether all weights are equal, bit by bit."""
    pairs = zip(ones, others, strict=True)
    return all(
        torch.equal(tensor, theirs[name])
        for one, other in pairs
        for own, theirs in zip(one.weights, other.weights, strict=True)
        for name, tensor in own.items()
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="lightgcn")
    parser.add_argument("--users", type=int, default=8000)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--actors", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    jobs = jobs_of(options)
    SerialPool().run(jobs[:1], lambda: False)  # what is done once in a process
    began, before = time.perf_counter(), used()
    serial = SerialPool().run(jobs, lambda: False)
    wall, cpu = time.perf_counter() - began, used() - before
    print(f"serial: {wall:.1f} s, {cpu:.1f} processor seconds")
    ray.init(address="local", num_cpus=options.actors, include_dashboard=False, log_to_driver=False)
    with ActorPool(options.actors) as pool:
        pool.run(jobs[: options.actors], lambda: False)  # starts them
        actors = [seat.actor for seat in pool._open or []]
        before = [ray.get(actor.__ray_call__.remote(used)) for actor in actors]
        began, own = time.perf_counter(), used()
        results = pool.run(jobs, lambda: False)
        parallel, own = time.perf_counter() - began, used() - own
        after = [ray.get(actor.__ray_call__.remote(used)) for actor in actors]
    spent = [late - early for late, early in zip(after, before, strict=True)]
    print(f"{options.actors} actors: {parallel:.1f} s, {spent} processor seconds, here {own:.1f}")
    print(f"speed-up: wall {wall / parallel:.2f}, processor {cpu / max(spent):.2f}")
    print(f"weights {'are the same' if same(serial, results) else 'DIFFER'}")
    ray.shutdown()


if __name__ == "__main__":
    main()
