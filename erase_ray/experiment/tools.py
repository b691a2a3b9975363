"""What a cell may use beyond its own process, given by whoever runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from erase_ray.experiment.setting import Setting
from erase_ray.methods._shard_pool import ShardPool
from erase_ray.models import Model
from erase_ray.training import TrainingRecord

OnEpoch = Callable[[int, float, float | None], None]
"""Told the number of an epoch, its loss and the value on the valid queries, if any."""


class Trainer(Protocol):
    """Trains base models elsewhere, with several workers."""

    def __call__(self, setting: Setting, model: Model, on_epoch: OnEpoch) -> TrainingRecord:
        """Train ``model`` on ``setting.interactions`` and leave the best weights in it.

        Goes on from the last epoch in the store if there is one, and keeps each new one there.

        Raises:
            TrainingError: As :func:`erase_ray.training.train`.
        """
        ...


@dataclass(frozen=True)
class Tools:
    """Help from outside; without it everything happens in this process.

    Args:
        pool: Trains the shards of SISA side by side.
        trainer: Trains base models that are too large for one device, or slow on one.
    """

    pool: ShardPool | None = None
    trainer: Trainer | None = None


ALONE = Tools()
