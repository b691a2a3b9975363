"""Slices of shards, kept in the store so that another process can go on from the last."""

import hashlib
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from erase_ray.experiment.journal import Journal, Snapshot
from erase_ray.experiment.pace import Pace, Rhythm
from erase_ray.methods._shard_pool import (
    OnSlice,
    ShardJob,
    ShardPool,
    ShardResult,
    ShouldStop,
    Slice,
    ignore,
)

FOLDER = "slices"


class KeepingPool:
    """Another pool, whose slices are kept as they are done.

    The first run of a process goes on from the slices that its predecessor kept of the very same
    jobs, so what comes out is the same, bit by bit.

    Args:
        pool: Runs the jobs.
        journal: Of the cell.
        pace: How often slices are kept.
    """

    def __init__(self, pool: ShardPool, journal: Journal, pace: Pace) -> None:
        self._pool, self._journal, self._pace = pool, journal, pace
        self._before: _Shelf | None = None
        self.seconds_before = 0.0
        """What the slices took that were found."""

    def run(
        self, jobs: Sequence[ShardJob], should_stop: ShouldStop, on_slice: OnSlice = ignore
    ) -> list[ShardResult]:
        """See :meth:`ShardPool.run`; slices that were kept are not told of again."""
        journal = self._journal.branch(FOLDER, {"jobs": _digest(jobs)})
        shelf = _Shelf(jobs, journal, Rhythm(self._pace))
        if self._before is None:
            self.seconds_before = shelf.load()
        elif self._before.is_used:
            journal.clear()
        self._before = shelf
        left = [job.after(found) for job, found in zip(jobs, shelf.results, strict=True)]
        ended = self._pool.run(left, should_stop, partial(shelf.put, on_slice))
        for result, end in zip(shelf.results, ended, strict=True):
            result.error, result.is_complete = end.error, end.is_complete
        results, shelf.results = shelf.results, []
        return results


class _Shelf:
    """The slices of some jobs that are done."""

    def __init__(self, jobs: Sequence[ShardJob], journal: Journal, rhythm: Rhythm) -> None:
        self.results = [ShardResult(job.shard, job.first_slice) for job in jobs]
        self.is_used = False
        self._journal, self._rhythm = journal, rhythm
        self._counts: list[list[tuple[int, bool]]] = [[] for _ in jobs]
        self._started, self._seconds = time.monotonic(), 0.0

    def load(self) -> float:
        """Take in what was kept; the seconds that it took."""
        snapshot = self._journal.load()
        self._started = time.monotonic()
        if snapshot is None:
            return 0.0
        self.is_used = True
        for number, counts in enumerate(snapshot.facts["slices"]):
            for place, (num_steps, is_empty) in enumerate(counts):
                start = f"{number}/{place}/"
                weights = {
                    name.removeprefix(start): tensor.clone()
                    for name, tensor in snapshot.tensors.items()
                    if name.startswith(start)
                }
                self._add(number, Slice(weights, num_steps, is_empty))
        self._seconds = snapshot.facts["seconds"]
        return self._seconds

    def put(self, on_slice: OnSlice, number: int, done: Slice) -> None:
        """Take in a slice that was done just now, and keep all if it is time to."""
        self._add(number, done)
        if self._rhythm.is_due():
            with self._rhythm.beat():
                self.is_used |= self._journal.save(self._snapshot())
        on_slice(number, done)

    def _add(self, number: int, done: Slice) -> None:
        self.results[number].add(done)
        self._counts[number].append((done.num_steps, done.is_empty))

    def _snapshot(self) -> Snapshot:
        tensors = {
            f"{number}/{place}/{name}": tensor
            for number, result in enumerate(self.results)
            for place, weights in enumerate(result.weights)
            for name, tensor in weights.items()
        }
        seconds = self._seconds + time.monotonic() - self._started
        facts = {"slices": self._counts, "seconds": seconds}
        return Snapshot(sum(map(len, self._counts)), facts, tensors)


def _digest(jobs: Sequence[ShardJob]) -> str:
    """Names all that the results of the jobs follow from, but for the weights they start with.

    Those follow from the chain so far, which is the same for whoever comes to these jobs.
    """
    digest = hashlib.sha256()
    for job in jobs:
        numbers = [job.shard, job.seed, job.first_slice, job.passes, torch.device(job.device).type]
        digest.update(repr(numbers).encode())
        digest.update(np.ascontiguousarray(job.interactions.row).data)
        digest.update(np.ascontiguousarray(job.slices).data)
    return digest.hexdigest()
