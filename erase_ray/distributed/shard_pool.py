"""Shards of an ensemble trained side by side, each by an actor."""

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from erase_ray import pulse, tiles
from erase_ray.distributed.cluster import ClusterError
from erase_ray.distributed.loss import kind_of
from erase_ray.distributed.runner import HUNG_S
from erase_ray.errors import TrainingError
from erase_ray.experiment.dispatch import HUNG, MEMORY, NODE, WORKER
from erase_ray.methods._shard_pool import (
    OnSlice,
    SerialPool,
    ShardJob,
    ShardResult,
    ShouldStop,
    Slice,
    ignore,
)

logger = logging.getLogger(__name__)

POLL_S = 0.2
"""How often the caller is asked whether to stop, while shards are trained."""
PULSE_S = 10.0
"""How often actors are asked for signs of life."""
LIMITS = {NODE: None, WORKER: 3, HUNG: 2, MEMORY: 0}
"""How often in a row an actor is rebuilt without that its shard got any further, by why it was
lost; None for as often as it takes."""
WAIT_S = 1800.0
"""So long an actor may wait for a machine before its cell counts as silent."""

Bundle = dict[str, float]


class _Worker:
    """Trains one shard after the other, and one slice after the other when it is asked to."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._slices: Iterator[Slice] = iter(())
        self._stopped = -1

    @ray.method(concurrency_group="control")
    def where(self) -> tuple[str, int]:
        """The machine and the process."""
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def begin(self, run: int, job: ShardJob, found: ShardResult, tile: float) -> Slice | str | None:
        """Train the first slice of ``job`` that ``found`` lacks; see :meth:`next`."""
        pulse.beat()
        self._tile = tile
        self._slices = job.after(found).each(lambda: self._stopped >= run)
        return self.next()

    def next(self) -> Slice | str | None:
        """Train a slice.

        Returns:
            The slice; None if there is none left or it was stopped; why it failed, if it did.
        """
        pulse.beat()
        try:
            with tiles.scale(self._tile):
                return next(self._slices, None)
        except TrainingError as error:
            return str(error)

    @ray.method(concurrency_group="control")
    def stop(self, run: int) -> None:
        """End the jobs of a run, and of all runs before it, before the next epoch."""
        self._stopped = run

    @ray.method(concurrency_group="control")
    def silence(self) -> float:
        """Seconds since training last showed a sign of life."""
        return pulse.silence()


ShardWorker: Any = ray.remote(concurrency_groups={"control": 1}, max_restarts=0)(_Worker)  # type: ignore


@dataclass(eq=False)
class _Task:
    """A job that is trained somewhere.

    Args:
        number: Of the job in its run.
        job: What to train.
        shipped: The same in the object store.
        result: What is done.
        losses: How many actors were lost since the last slice, by kind.
    """

    number: int
    job: ShardJob
    shipped: Any
    result: ShardResult
    losses: Counter[str] = field(default_factory=Counter)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to train."""
        return self.result.first_slice + len(self.result.weights) == len(self.job.passes)


@dataclass(eq=False)
class _Seat:
    """A place for an actor, and what it is doing."""

    options: dict[str, Any]
    actor: Any = None
    node_id: str = ""
    where: Any = None
    task: _Task | None = None
    reply: Any = None
    pulse: Any = None
    asked: float = 0.0
    since: float = 0.0


class ActorPool:
    """Trains the shards of one request side by side; results are those of a serial pool.

    An actor sits in each bundle but the first of the placement group that this process runs in.
    Where there is none, ``workers`` actors ask for ``resources`` each; where that is 0 too, and
    where the group has one bundle, all is done in this process. Actors are started when they are
    first needed and live until :meth:`close`. One that is lost is built anew and goes on after
    the last slice that came back.

    Args:
        workers: Actors outside a placement group.
        resources: What each of them needs, by Ray's names.
    """

    def __init__(self, workers: int = 0, resources: Bundle | None = None) -> None:
        self._plain = [resources or {"CPU": 1.0}] * workers
        self._open: list[_Seat] | None = None
        self._run = 0

    def __enter__(self) -> "ActorPool":
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """End all actors."""
        for seat in self._open or ():
            _dismiss(seat)
        self._open = None

    def run(
        self, jobs: Sequence[ShardJob], should_stop: ShouldStop, on_slice: OnSlice = ignore
    ) -> list[ShardResult]:
        """See :meth:`erase_ray.methods._shard_pool.ShardPool.run`.

        Raises:
            ClusterError: The actor of a shard died again and again.
            MemoryError: There was not enough memory for a shard.
        """
        if self._open is None:
            self._open = [_Seat(options) for options in self._places()]
        if not self._open:
            return SerialPool().run(jobs, should_stop, on_slice)
        self._run += 1
        race = _Race(self._run, self._open, jobs, should_stop, on_slice)
        try:
            return race.run()
        except BaseException:
            # what an actor is still doing would come back as an answer to the next run
            self.close()
            raise

    def _places(self) -> list[dict[str, Any]]:
        group = get_current_placement_group()
        if group is None:
            return [_options(bundle) for bundle in self._plain]
        bundles = list(enumerate(group.bundle_specs))[1:]
        return [_options(bundle, group, index) for index, bundle in bundles]


class _Race:
    """The jobs of one run."""

    def __init__(
        self,
        run: int,
        seats: list[_Seat],
        jobs: Sequence[ShardJob],
        should_stop: ShouldStop,
        on_slice: OnSlice,
    ) -> None:
        self._run, self._seats = run, seats
        self._should_stop, self._on_slice = should_stop, on_slice
        self._tasks = [
            _Task(number, job, None, ShardResult(job.shard, job.first_slice))
            for number, job in enumerate(jobs)
        ]
        self._waiting = deque(task for task in self._tasks if not task.is_whole)
        self._is_stopped = False

    def run(self) -> list[ShardResult]:
        while self._waiting or self._busy:
            if not self._is_stopped and self._should_stop():
                self._stop()
            for seat in self._seats:
                if seat.task is None and self._waiting:
                    self._begin(seat, self._waiting.popleft())
            if self._busy:
                self._hear()
                self._look_after()
        return [task.job.closed(task.result) for task in self._tasks]

    @property
    def _busy(self) -> list[_Seat]:
        return [seat for seat in self._seats if seat.task is not None]

    def _stop(self) -> None:
        self._is_stopped = True
        self._waiting.clear()
        for seat in self._busy:
            if seat.node_id or _answer(seat.where):
                seat.actor.stop.remote(self._run)
            else:
                _dismiss(seat)

    def _begin(self, seat: _Seat, task: _Task) -> None:
        if seat.actor is None:
            # sums depend on the number of threads, so it is that of a serial pool here
            seat.actor = ShardWorker.options(**seat.options).remote(torch.get_num_threads())
            seat.where, seat.node_id = seat.actor.where.remote(), ""
        if task.shipped is None:
            task.shipped = ray.put(_shippable(task.job))
        seat.task, seat.pulse = task, None
        seat.since = seat.asked = time.monotonic()
        seat.reply = seat.actor.begin.remote(
            self._run, task.shipped, _tail(task.job, task.result), tiles.scaled(1.0)
        )

    def _hear(self) -> None:
        """Wait for answers of actors, for a moment, and act on them."""
        by_reply = {seat.reply: seat for seat in self._busy}
        ready, _ = ray.wait(list(by_reply), num_returns=len(by_reply), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(by_reply), timeout=POLL_S)
        for reply in ready:
            self._take(by_reply[reply])

    def _take(self, seat: _Seat) -> None:
        assert seat.task is not None
        try:
            answer: Any = ray.get(seat.reply)
        except RayTaskError as error:
            raise (error.cause or error) from error
        except RayError as error:
            self._lost(seat, *_why(seat, error))
            return
        pulse.beat()
        task = seat.task
        if isinstance(answer, Slice):
            task.losses.clear()
            task.result.add(answer)
            self._on_slice(task.number, answer)
            if not task.is_whole:
                seat.since = time.monotonic()
                seat.reply = seat.actor.next.remote()
                return
        elif answer is not None:
            task.result.error = answer
        seat.task, task.shipped = None, None

    def _lost(self, seat: _Seat, kind: str, reason: str) -> None:
        """Let another actor go on with what this one did."""
        task = seat.task
        assert task is not None
        _dismiss(seat)
        if self._is_stopped:
            return
        task.losses[kind] += 1
        limit, times = LIMITS[kind], task.losses[kind]
        what = f"shard {task.job.shard}, slice {task.result.first_slice + len(task.result.weights)}"
        if kind == MEMORY:
            raise MemoryError(f"{what}: {reason}")
        if limit is not None and times > limit:
            raise ClusterError(f"{what}: {reason}, {times} times in a row")
        logger.warning("%s begins anew: %s", what, reason)
        self._waiting.appendleft(task)

    def _look_after(self) -> None:
        """Pass on signs of life, and end actors that show none."""
        now = time.monotonic()
        for seat in self._busy:
            if not seat.node_id:
                self._look_for(seat, now)
            elif seat.pulse is None:
                if now - seat.asked >= PULSE_S:
                    seat.pulse, seat.asked = seat.actor.silence.remote(), now
            elif (silence := _answer(seat.pulse)) is not None:
                seat.pulse, seat.asked = None, now
                if silence < 2 * PULSE_S:
                    pulse.beat()
                elif silence > HUNG_S:
                    self._lost(seat, HUNG, f"no sign of life for {silence:.0f} s")

    def _look_for(self, seat: _Seat, now: float) -> None:
        """Wait for an actor that is not there yet."""
        found = _answer(seat.where)
        if found is not None:
            seat.node_id = found[0]
        elif now - seat.since < WAIT_S:
            pulse.beat()


def _options(bundle: Bundle, group: PlacementGroup | None = None, index: int = 0) -> dict[str, Any]:
    own = {name: amount for name, amount in bundle.items() if name not in ("CPU", "GPU", "memory")}
    options: dict[str, Any] = {
        "num_cpus": bundle.get("CPU", 0),
        "num_gpus": bundle.get("GPU", 0),
        "resources": {name: amount for name, amount in own.items() if "bundle_group" not in name},
    }
    if bundle.get("memory"):
        options["memory"] = bundle["memory"]
    if group is not None:
        options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(group, index)
    return options


def _shippable(job: ShardJob) -> ShardJob:
    """``job``, to be trained on the device of an actor, which sees its own as the first."""
    return job if job.device == "cpu" else replace(job, device=torch.device(job.device).type)


def _tail(job: ShardJob, result: ShardResult) -> ShardResult:
    """As much of a result as :meth:`ShardJob.after` needs."""
    done = len(result.weights)
    tail = ShardResult(job.shard, result.first_slice + max(0, done - 1))
    tail.weights = result.weights[-1:]
    return tail


def _answer(reply: Any) -> Any:
    """An answer, if it is there; none comes from an actor that is lost, which is seen elsewhere."""
    ready, _ = ray.wait([reply], timeout=0)
    if not ready:
        return None
    try:
        return ray.get(reply)
    except RayError:
        return None


def _why(seat: _Seat, error: RayError) -> tuple[str, str]:
    """The kind of a loss, and a line on it."""
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    if seat.node_id and seat.node_id not in alive:
        return NODE, "its machine is gone"
    return kind_of(f"{type(error).__name__} {error}")


def _dismiss(seat: _Seat) -> None:
    if seat.actor is not None:
        ray.kill(seat.actor)
    seat.actor = seat.task = seat.reply = seat.pulse = seat.where = None
