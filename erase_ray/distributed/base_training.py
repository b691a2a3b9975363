"""Base models trained by several processes, which may come and go, through Ray Train."""

import logging
import os
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from erase_ray.distributed import quiet

quiet.apply()
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")

import ray  # noqa: E402
from ray.exceptions import RayActorError  # noqa: E402
from ray.train import FailureConfig, RunConfig, ScalingConfig  # noqa: E402
from ray.train.torch import TorchConfig, TorchTrainer  # noqa: E402
from ray.train.v2.api.exceptions import (  # noqa: E402
    PreemptionError,
    TrainingFailedError,
    WorkerGroupError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

from erase_ray import pulse  # noqa: E402
from erase_ray.checkpoints import TrainingState  # noqa: E402
from erase_ray.distributed._train_worker import Board, Order, work  # noqa: E402
from erase_ray.distributed.cluster import ClusterError  # noqa: E402
from erase_ray.distributed.loss import kind_of  # noqa: E402
from erase_ray.errors import EraseError  # noqa: E402
from erase_ray.experiment.dispatch import HUNG, NODE, WORKER  # noqa: E402
from erase_ray.experiment.epochs import (  # noqa: E402
    EVERY_EPOCH,
    EpochJournal,
    TeamRecord,
    collected,
    epoch_journal,
    is_over,
)
from erase_ray.experiment.setting import Setting  # noqa: E402
from erase_ray.experiment.tools import OnEpoch  # noqa: E402
from erase_ray.experiment.walk import ERROR, MEMORY  # noqa: E402
from erase_ray.models import Model  # noqa: E402

logger = logging.getLogger(__name__)

LIMITS = {NODE: None, WORKER: 3, HUNG: 2, MEMORY: 0, ERROR: 1}
"""How often in a row training begins anew without that it got any further, by why it broke off;
None for as often as it takes."""
POLL_S = 0.5
"""How often news of the workers is read."""
GRACE_S = 10.0
"""So long a new start waits for room for all workers; then it goes on with those there is room
for."""
WAIT_S = 1800.0
"""So long training may wait for room for a single worker."""


class RayTrainer:
    """Trains a base model with several workers, and goes on with fewer if some are lost.

    Every epoch is kept in the store, and each start goes on from the last one there. The number of
    workers is that of the start: as many as were asked for, or as there is room for.

    Workers are in a placement group of their own, outside that of the process that calls, which
    needs memory for one model and its optimiser, on the CPU.

    Args:
        workers: How many processes, at most.
        resources: What each of them needs, by Ray's names; a ``GPU``, or a share of one, makes each
            train on a whole one.
        shard_tables: Whether large tables are shared out among them.
    """

    work = staticmethod(work)
    """What each worker does."""

    def __init__(
        self,
        workers: int,
        resources: dict[str, float] | None = None,
        shard_tables: bool = False,
    ) -> None:
        self._workers = workers
        self._resources = {k: v for k, v in (resources or {"CPU": 1.0}).items() if v}
        if self._resources.get("GPU"):
            # NCCL refuses two workers on one device
            self._resources["GPU"] = max(1.0, self._resources["GPU"])
        self._shard_tables = shard_tables
        self._device = "cuda" if self._resources.get("GPU") else "cpu"

    def __call__(self, setting: Setting, model: Model, on_epoch: OnEpoch) -> TeamRecord:
        """See :class:`erase_ray.experiment.tools.Trainer`.

        Raises:
            ClusterError: Workers died again and again, or there was no room for any.
            MemoryError: There was not enough memory.
        """
        told = _InOrder(on_epoch)
        losses: Counter[str] = Counter()
        num_done, state = -1, None
        while True:
            journal = epoch_journal(setting, setting.interactions, self._device)
            kept = EpochJournal(journal, EVERY_EPOCH, told)
            state = kept.load()
            if state is not None and is_over(state, setting.cell.training):
                return collected(model, state, kept)
            num_done, losses = _progress(state, num_done, losses)
            error = self._start(setting, told)
            if error is not None:
                self._judge(setting, error, losses)

    def _start(self, setting: Setting, told: "_InOrder") -> Exception | None:
        """Train until the end or until something breaks; what broke."""
        workers = self._room()
        logger.info("%s: %d workers train", setting.cell.label, workers)
        board = Board.options(scheduling_strategy=_here()).remote()
        order = Order(
            cell=setting.cell.model_dump(mode="json"),
            storage=setting.store.child("").rstrip("/"),
            device=self._device,
            threads=max(1, int(self._resources.get("CPU", 1))),
            shard_tables=self._shard_tables and workers > 1,
            board=board,
        )
        scratch = tempfile.mkdtemp(prefix="erase_ray_train_")
        try:
            fit = _Fit(self._trainer(workers, order, scratch))
            while fit.is_alive():
                fit.join(POLL_S)
                _listen(board, told, fit.started)
            return fit.error
        finally:
            ray.kill(board)
            shutil.rmtree(scratch, ignore_errors=True)

    def _trainer(self, workers: int, order: Order, scratch: str) -> TorchTrainer:
        is_cuda = self._device == "cuda"
        return TorchTrainer(
            self.work,
            train_loop_config={"order": order},
            torch_config=TorchConfig(backend="nccl" if is_cuda else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu=is_cuda, resources_per_worker=self._resources
            ),
            run_config=RunConfig(
                name="base",
                storage_path=scratch,
                # who goes on, and with how many, is decided here
                failure_config=FailureConfig(
                    max_failures=0, controller_failure_limit=0, max_preemption_failures=0
                ),
            ),
        )

    def _room(self) -> int:
        """How many workers there is room for: all that are wanted, or else at least one.

        Ray Train's own elastic number of workers goes by what machines have, whether or not
        somebody else uses it.

        Raises:
            ClusterError: There is no room for any.
        """
        started = time.monotonic()
        while True:
            pulse.beat()
            free = ray.available_resources()
            count = min(int(free.get(k, 0.0) / v + 1e-6) for k, v in self._resources.items())
            waited = time.monotonic() - started
            if count >= self._workers or (count and waited > GRACE_S):
                return min(count, self._workers)
            if waited > WAIT_S:
                raise ClusterError(f"no room for a worker with {self._resources} in {waited:.0f} s")
            time.sleep(POLL_S)

    def _judge(self, setting: Setting, error: Exception, losses: Counter[str]) -> None:
        """Raise what a new start cannot mend."""
        kind, cause = _cause(error)
        losses[kind] += 1
        limit = LIMITS[kind]
        if limit is None or losses[kind] <= limit:
            logger.warning("%s begins anew from the last epoch: %s", setting.cell.label, cause)
            return
        if isinstance(cause, EraseError):
            raise cause
        if kind == MEMORY:
            raise MemoryError(str(cause)) from error
        raise ClusterError(f"training broke off {losses[kind]} times in a row: {cause}") from error


class _Fit(threading.Thread):
    """Ray Train, in a thread of its own, as it blocks."""

    def __init__(self, trainer: TorchTrainer) -> None:
        super().__init__(name="ray-train", daemon=True)
        self._trainer = trainer
        self.error: Exception | None = None
        self.started = time.monotonic()
        self.start()

    def run(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:
            self.error = error


@dataclass
class _InOrder:
    """Passes on each epoch once, whoever tells it first."""

    on_epoch: OnEpoch
    num_told: int = 0

    def __call__(self, epoch: int, loss: float, value: float | None) -> None:
        if epoch == self.num_told:
            self.num_told += 1
            self.on_epoch(epoch, loss, value)


def _listen(board: Any, told: _InOrder, since: float) -> None:
    """Pass on what workers said, and beat if they live; before the first word, for a while."""
    epochs, is_alive, has_begun = ray.get(board.read.remote())
    for epoch in epochs:
        told(*epoch)
    if is_alive or (not has_begun and time.monotonic() - since < WAIT_S):
        pulse.beat()


def _progress(
    state: TrainingState | None, before: int, losses: Counter[str]
) -> tuple[int, Counter[str]]:
    """Epochs done, and what was lost since there were fewer."""
    num_done = len(state.losses) if state else 0
    return num_done, losses if num_done == before else Counter()


def _cause(error: Exception) -> tuple[str, Exception]:
    """Why training broke off, one of :data:`LIMITS`, and what to say of it."""
    if isinstance(error, PreemptionError):
        return NODE, error
    if not isinstance(error, WorkerGroupError):
        # no room after all, or a worker that was lost while it started
        is_from_train = isinstance(error, TrainingFailedError | RayActorError)
        return (NODE if is_from_train else ERROR), error
    failures = [_inner(failure) for failure in error.worker_failures.values()]
    own = [failure for failure in failures if isinstance(failure, EraseError)]
    lost = [failure for failure in failures if isinstance(failure, RayActorError)]
    if own:
        return ERROR, own[0]
    if lost:
        return kind_of(f"{type(lost[0]).__name__} {lost[0]}")[0], lost[0]
    for failure in failures:
        if isinstance(failure, MemoryError) or "out of memory" in str(failure):
            return MEMORY, failure
    # one that waits for a worker that is gone hears of it first, sometimes
    is_cut_off = all(_is_cut_off(failure) for failure in failures)
    return (WORKER if is_cut_off else ERROR), failures[0]


def _inner(failure: Exception) -> Exception:
    return getattr(failure, "health_check_failure", failure)


def _is_cut_off(failure: Exception) -> bool:
    text = f"{type(failure).__name__} {failure}".lower()
    return any(sign in text for sign in ("gloo", "nccl", "distbackend", "connection"))


def _here() -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
