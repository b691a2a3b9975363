"""Training in several processes, for tests: each runs a list of jobs and leaves what came out."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from erase_ray.checkpoints import FileCheckpoint, TrainingState
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.tasks import TASKS, Cut
from erase_ray.team import Team
from erase_ray.training import train
from tests.conftest import CPU, make_model, planted

EPOCHS = 2


@dataclass(frozen=True)
class Job:
    """One training run.

    Args:
        model: Name of the model.
        double: Whether weights are float64.
        changes: To the settings of the training.
        model_settings: Of the model.
        shards: Whether tables are shared out.
        checkpoint: Path of a checkpoint; none if empty.
        last: The epochs after which the run is broken off; 0: never.
    """

    model: str
    double: bool = True
    changes: dict[str, Any] = field(default_factory=dict)
    model_settings: dict[str, Any] = field(default_factory=dict)
    shards: bool = False
    checkpoint: str = ""
    last: int = 0

    def run(self, team: Team | None) -> dict[str, Any]:
        """Train; weights, record and what was told of the epochs."""
        data = planted(MODELS.get(self.model).task)
        model = make_model(self.model, data, **self.model_settings)
        model = model.double() if self.double else model
        task, told = TASKS.get(data.task)(), []
        saved = Stopping(self.checkpoint, self.last) if self.checkpoint else None
        record = train(
            model,
            task,
            data.interactions,
            data.split,
            self.settings(),
            3,
            CPU,
            lambda *call: told.append(call),
            saved,
            team,
            self.shards and team is not None,
        )
        state = {name: value.clone() for name, value in model.state_dict().items()}
        curves = (record.best_epoch, record.epochs, record.valid_curve, record.losses)
        return {"weights": state, "curves": curves, "told": told}

    def settings(self) -> TrainingSettings:
        """Three batches or more, whose last has one to three examples."""
        data = planted(MODELS.get(self.model).task)
        cut = Cut(make_model(self.model, data).max_history, CPU)
        examples = TASKS.get(data.task)().examples(data.interactions, data.split, cut)
        size = max(size for size in range(1, len(examples) // 3) if 1 <= len(examples) % size <= 3)
        known = {"epochs": EPOCHS, "batch_size": size, "learning_rate": 5e-3, "select_k": 5}
        return TrainingSettings(**{**known, **self.changes})


def in_team(size: int, work: Callable[[Team], Any], folder: Path) -> list[Any]:
    """What ``work`` gives in each of ``size`` processes, by member; it must be importable."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # one process imports everything, once for all tests, and the members are forked from it
    multiprocessing.set_forkserver_preload([__name__])
    arguments = (size, port, work, str(folder))
    mp.start_processes(_member, arguments, size, start_method="forkserver")  # type: ignore
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _member(rank: int, size: int, port: int, work: Callable[[Team], Any], folder: str) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    limit = timedelta(seconds=120)
    dist.init_process_group("gloo", address, limit, world_size=size, rank=rank)
    try:
        team = Team.current()
        assert team is not None
        torch.save(work(team), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


class Stop(Exception):
    """Ends a run between two epochs."""


class Stopping(FileCheckpoint):
    """Saves, and stops the run once it has saved enough; 0 is never enough."""

    def __init__(self, path: str, last: int) -> None:
        super().__init__(path)
        self.last = last

    def save(self, state: TrainingState) -> None:
        """Save, maybe for the last time."""
        super().save(state)
        if len(state.losses) == self.last:
            raise Stop


@dataclass(frozen=True)
class Jobs:
    """Several runs one after the other."""

    jobs: tuple[Job, ...]

    def __call__(self, team: Team) -> list[dict[str, Any]]:
        """What each gave."""
        return [job.run(team) for job in self.jobs]
