"""Base cells on planted data, and workers that die, for the tests of Ray Train."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ray
import torch

import erase_ray.distributed._train_worker as worker
from erase_ray.distributed.base_training import RayTrainer
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.models import MODELS
from erase_ray.team import Team

CPU = torch.device("cpu")
EPOCHS = 6
LOST_IN = 3
"""The epoch in which a worker dies."""


def base_cell(**training) -> Cell:
    """A base cell of a few epochs."""
    values = {"epochs": EPOCHS, "patience": 100, "batch_size": 64, "learning_rate": 5e-3}
    block = Block(
        datasets={"planted": {"task": "cf", "num_users": 60, "num_items": 72}},
        models={"bpr": {"embedding_size": 8}},
        training=values | training,
        scenarios={"account": {"num_users": 9}},
        methods="scif",
        seeds=[2],
    )
    return expand([block])[0].base


def prepared(cell: Cell, folder: Path) -> Setting:
    """The setting of ``cell`` in a store that has the data."""
    store = Store(str(folder))
    for node in build([cell], store).pending():
        if node.key != cell.key:
            run_node(node.payload, store.uri)
    return Setting.load(cell, store, CPU)


def dying_work(config) -> None:
    """Train; the second of two workers dies in the middle of an epoch."""
    kind, team = MODELS.get("bpr"), Team.current()
    begin, begun = kind.start_epoch, []

    def start_epoch(model, seed):
        begun.append(seed)
        if team.rank == 1 and len(begun) == LOST_IN + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(model, seed)

    kind.start_epoch = start_epoch
    worker.work(config)


class Shrinking(RayTrainer):
    """Two workers, one of which dies; then one."""

    work = staticmethod(dying_work)
    starts = 0

    def _room(self) -> int:
        self.starts += 1
        return 2 if self.starts == 1 else 1


class Trial:
    """Trains a base model from inside a placement group, as a trial of Tune does."""

    def run(self, cell: dict, uri: str):
        """The record, the weights, what was told, how often training began, and where it was."""
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(self._run, cell, uri).result()

    def _run(self, cell: dict, uri: str):
        setting = Setting.load(Cell(**cell), Store(uri), CPU)
        trainer, model, told = Shrinking(2), setting.fresh_model(), []
        record = trainer(setting, model, lambda *epoch: told.append(epoch))
        group = ray.get_runtime_context().get_placement_group_id()
        return record, model.state_dict(), told, trainer.starts, group
