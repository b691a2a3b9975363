"""What each worker of Ray Train does."""

import faulthandler
import os
import threading
from dataclasses import dataclass
from typing import Any

import ray
import torch

from erase_ray import pulse
from erase_ray.checkpoints import Checkpoint, TrainingState
from erase_ray.distributed.runner import HUNG_CODE, HUNG_S
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.epochs import EVERY_EPOCH, EpochJournal, epoch_journal
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.team import Team
from erase_ray.training import train

PULSE_S = 5.0
"""From one sign of life to the next."""
Epoch = tuple[int, float, float | None]
"""Its number, its loss and the value on the valid queries, if any."""


@dataclass(frozen=True)
class Order:
    """What to train, by names and numbers.

    Args:
        cell: A base cell, as plain values.
        storage: Address of the store.
        device: Type of the device.
        threads: Of one worker.
        shard_tables: Whether large tables are shared out.
        board: An actor of :class:`Board`.
    """

    cell: dict[str, Any]
    storage: str
    device: str
    threads: int
    shard_tables: bool
    board: Any


class _Board:
    """Where the first worker leaves word for whoever waits for the result."""

    def __init__(self) -> None:
        self._epochs: list[Epoch] = []
        self._is_alive = self._has_begun = False

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is done and kept."""
        self._epochs.append(epoch)
        self._is_alive = True

    def pulse(self, silence: float) -> None:
        """Work goes on; its last sign of life was so many seconds ago."""
        self._has_begun = True
        self._is_alive |= silence < 2 * PULSE_S

    def read(self) -> tuple[list[Epoch], bool, bool]:
        """Epochs since this was asked last, whether work goes on, and whether it has begun."""
        news = (self._epochs, self._is_alive, self._has_begun)
        self._epochs, self._is_alive = [], False
        return news


Board: Any = ray.remote(num_cpus=0)(_Board)


def work(config: dict[str, Any]) -> None:
    """Train the base model of an order, as one of the workers of this run."""
    order: Order = config["order"]
    torch.set_num_threads(order.threads)
    device = torch.device(order.device)
    if device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    team = Team.current()
    assert team is not None
    over = threading.Event()
    threading.Thread(target=_watch, args=(over, order.board if team.leads else None)).start()
    try:
        _train(order, device, team)
    finally:
        over.set()


def _train(order: Order, device: torch.device, team: Team) -> None:
    setting = Setting.load(Cell(**order.cell), Store(order.storage), device)
    kept = EpochJournal(
        epoch_journal(setting, setting.interactions, device.type),
        EVERY_EPOCH,
        workers=team.size,
        must_keep=True,
    )
    train(
        setting.fresh_model(),
        setting.task,
        setting.interactions,
        setting.split,
        setting.cell.training,
        setting.cell.draws,
        device,
        checkpoint=_Telling(kept, order.board),
        team=team,
        shard_tables=order.shard_tables,
    )
    if team.leads:
        kept.settle()


@dataclass(frozen=True)
class _Telling(Checkpoint):
    """Tells of epochs once they are kept."""

    kept: EpochJournal
    board: Any

    def load(self) -> TrainingState | None:
        return self.kept.load()

    def save(self, state: TrainingState) -> None:
        self.kept.save(state)
        last = len(state.losses) - 1
        value = state.curve[last] if state.curve else None
        self.board.epoch.remote((last, state.losses[last], value))


def _watch(over: threading.Event, board: Any) -> None:
    """Show signs of life; end this process where there has been none for too long."""
    while True:
        silence = pulse.silence()
        if board is not None:
            board.pulse.remote(silence)
        if silence > HUNG_S:
            faulthandler.dump_traceback()
            os._exit(HUNG_CODE)
        if over.wait(PULSE_S):
            return
