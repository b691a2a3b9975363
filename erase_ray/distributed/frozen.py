"""Workers that do not even report any more are ended, so that their nodes go elsewhere."""

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

logger = logging.getLogger(__name__)

FROZEN_S = float(os.environ.get("ERASE_RAY_FROZEN_S", "600"))
"""A worker that has not reported for so long is ended; it should do so every 30 s."""


@dataclass
class _Worker:
    heard: float
    pid: int = 0
    node_id: str = ""
    is_ended: bool = False


class Frozen:
    """When each worker was last heard of."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}

    def heard(self, trial_id: str, pid: int = 0, node_id: str = "") -> None:
        """The worker of a trial has begun, or has said that it goes on."""
        if trial_id in self._workers and not pid:
            return
        self._workers[trial_id] = _Worker(time.monotonic(), pid, node_id)

    def forget(self, trial_id: str) -> bool:
        """A trial is over; whether its worker was ended here."""
        worker = self._workers.pop(trial_id, None)
        return worker is not None and worker.is_ended

    def end_silent(self) -> None:
        """End the process of each worker that was silent for too long."""
        for trial_id, worker in self._workers.items():
            is_silent = time.monotonic() - worker.heard > FROZEN_S
            if is_silent and worker.pid and not worker.is_ended:
                worker.is_ended = True
                logger.warning("trial %s has not reported for %g s; ended", trial_id, FROZEN_S)
                where = NodeAffinitySchedulingStrategy(worker.node_id, soft=False)
                _end.options(scheduling_strategy=where).remote(worker.pid)


@ray.remote(num_cpus=0, max_retries=0)
def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
