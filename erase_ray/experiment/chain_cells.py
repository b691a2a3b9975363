"""Cells whose method serves requests: all of a mark as one, or one after the other."""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from erase_ray.data.interactions import Interactions
from erase_ray.experiment import live
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import ChainJournal, Course, Pace
from erase_ray.experiment.costs import request_costs, training_costs
from erase_ray.experiment.epochs import EpochJournal, epoch_journal
from erase_ray.experiment.kept_slices import KeepingPool
from erase_ray.experiment.measure import Measurements
from erase_ray.experiment.records import record, training_facts
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.shadows import Observer, Unmeasured
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.tools import ALONE, Tools, Trainer
from erase_ray.methods import Method
from erase_ray.methods._request import World
from erase_ray.methods._shard_pool import SerialPool
from erase_ray.methods.sisa import Sisa
from erase_ray.models import Model
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.selection import Best
from erase_ray.training import TrainingRecord, train


def run_merged(setting: Setting, store: Store, pace: Pace | None = None) -> CellRecord:
    """Serve all requests up to the cell's mark as one; trainings go on from the last epoch kept."""
    mark = setting.cell.mark
    assert mark is not None
    model, log = _starting_model(setting, store), live.Log()
    trainings = Trainings(setting, log, pace or Pace())
    runner = chain_runner(setting, model, trainings)
    seconds = runner.begin()
    runner.serve_merged(setting.chain.merged(mark), mark)
    requests = runner.frame()
    if setting.cell.shadow is not None:
        return observed_record(setting, model, requests, log)
    measurements = Measurements(setting, model)
    measurements.take(mark)
    seconds += float(requests["seconds_algorithm"].to_numpy().sum()) + trainings.seconds_before
    parent = _parent(setting, store, runner.method)
    return record(
        setting,
        measurements,
        requests=requests,
        costs=training_costs(setting, (mark,), seconds),
        log=log,
        weights={str(mark): put_model(store, model, parent)},
    )


def run_chain(setting: Setting, store: Store, pace: Pace, tools: Tools = ALONE) -> CellRecord:
    """Serve the requests one after the other, from the last snapshot on if there is one.

    What comes before the first request goes on from the last epoch or slice that was kept.
    """
    model, log = _starting_model(setting, store), live.Log()
    trainings = Trainings(setting, log, pace)
    runner = chain_runner(setting, model, trainings)
    pool = KeepingPool(tools.pool or SerialPool(), setting.journal(store), pace)
    if isinstance(runner.method, Sisa):
        runner.method.pool = pool
    parent = _parent(setting, store, runner.method)
    is_shadow = setting.cell.shadow is not None
    measurements = Unmeasured if is_shadow else Measurements
    course = Course(runner, measurements(setting, model), log=log)
    journal = ChainJournal(
        setting.journal(store), course, lambda: store.get_weights(parent) if parent else {}, pace
    )

    def at_mark(mark: int) -> None:
        if is_shadow:
            return
        course.measurements.take(mark)
        before = course.weights.get(str(mark - 1), parent)
        course.weights[str(mark)] = put_model(store, model, before)
        log.append({"event": "mark", "mark": mark, "weights": course.weights[str(mark)]})

    if not journal.resume():
        course.begin()
        course.seconds_begin += trainings.seconds_before + pool.seconds_before
        journal.after()
    runner.serve(setting.chain.requests, at_mark, journal.after)
    if is_shadow:
        return observed_record(setting, model, runner.frame(), log)
    return _chain_record(setting, course)


def observed_record(
    setting: Setting,
    model: Model,
    requests: pd.DataFrame | None,
    log: list[dict[str, Any]],
    weights: dict[str, str] | None = None,
    facts: dict[str, Any] | None = None,
) -> CellRecord:
    """The record of a cell of a shadow model: what the model says, and no measurements."""
    return record(
        setting,
        observed=Observer(setting, model).frame(),
        requests=requests,
        log=log,
        weights=weights or {},
        facts=facts,
    )


def _starting_model(setting: Setting, store: Store) -> Model:
    method = setting.cell.make_method()
    return setting.base_model(store) if method.needs_base else setting.built_model(method)


def _parent(setting: Setting, store: Store, method: Method) -> str | None:
    """Name of the weights that those at the marks are stored as differences from."""
    return store.manifest(setting.cell.base.key)["weights"]["0"] if method.needs_base else None


def _chain_record(setting: Setting, course: Course) -> CellRecord:
    requests = course.runner.frame()
    costs = request_costs(setting, requests)
    if not course.runner.method.needs_base:
        marks = tuple(range(1, NUM_MARKS + 1))
        costs = pd.concat([training_costs(setting, marks, course.seconds_begin), costs])
    return record(
        setting,
        course.measurements,
        requests=requests,
        costs=costs,
        log=course.log,
        weights=course.weights,
        facts={"seconds_begin": course.seconds_begin},
    )


def chain_runner(setting: Setting, model: Model, train: "Trainings") -> ChainRunner:
    """Who serves the requests of a setting on a model; ``train`` trains models for the method."""
    cell, cut = setting.cell, setting.cut(model)
    task, interactions, split = setting.task, setting.interactions, setting.split
    world = World(
        task=task,
        interactions=interactions,
        split=split,
        cut=cut,
        examples=task.examples(interactions, split, cut),
        num_items=interactions.num_items,
        train=train,
        training=cell.training,
        seed=cell.draws,
    )
    limit_s = math.inf if cell.limit_s is None else cell.limit_s
    return ChainRunner(setting, model, cell.make_method(), world, limit_s)


@dataclass(eq=False)
class Trainings:
    """Trains models for the method of a cell."""

    setting: Setting
    log: list[dict[str, Any]]
    pace: Pace
    seconds_before: float = 0.0
    """What epochs took that were not run in this process."""

    def __call__(self, model: Model, left: Interactions) -> None:
        """Train ``model`` on the interactions that are left."""
        trained, before = _train(self.setting, model, left, self.log, self.pace)
        self.seconds_before += before
        self.log.append({"event": "trained"} | training_facts(trained))


def train_model(
    setting: Setting,
    model: Model,
    interactions: Interactions,
    log: list[dict[str, Any]],
    pace: Pace | None = None,
    trainer: Trainer | None = None,
) -> TrainingRecord:
    """Train a model of the cell on some interactions; its epochs go into ``log``.

    A run that was killed goes on from the last epoch that it kept, and ends in the same weights
    and the same log, bit by bit.

    Args:
        setting: What the cell works on.
        model: Any weights; they are set anew.
        interactions: The rows that are left.
        log: Gets one event an epoch.
        pace: How often an epoch is kept.
        trainer: Trains models that learn elsewhere, on all interactions of ``setting``; not asked
            where the best epoch is picked in another way than usual.
    """
    if trainer is not None and model.learns and setting.view.best is None:
        return trainer(setting, model, partial(_log_epoch, log))
    return _train(setting, model, interactions, log, pace or Pace())[0]


def _train(
    setting: Setting,
    model: Model,
    interactions: Interactions,
    log: list[dict[str, Any]],
    pace: Pace,
) -> tuple[TrainingRecord, float]:
    """How the training went, and how many of its seconds had been spent before."""
    cell, on_epoch = setting.cell, partial(_log_epoch, log)
    lesson = setting.view.lesson(interactions)
    journal = epoch_journal(setting, lesson.interactions, setting.device.type)
    kept = EpochJournal(journal, pace, on_epoch)
    trained = train(
        model,
        *lesson,
        cell.training,
        cell.draws,
        setting.device,
        on_epoch,
        kept,
        best_of=setting.view.best or Best,
    )
    return replace(trained, seconds=trained.seconds + kept.seconds_before), kept.seconds_before


def _log_epoch(log: list[dict[str, Any]], epoch: int, loss: float, value: float | None) -> None:
    log.append({"event": "epoch", "epoch": epoch, "loss": loss, "value": value})


def put_model(store: Store, model: Model, parent: str | None = None) -> str:
    """Store the weights of a model, as differences from ``parent`` if there is one."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return store.put_weights(state, parent)
