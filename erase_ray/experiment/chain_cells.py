"""Cells whose method serves requests: all of a mark as one, or one after the other."""

import math
from typing import Any

import pandas as pd

from erase_ray.data.interactions import Interactions
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import ChainJournal, Course, Pace
from erase_ray.experiment.costs import request_costs, training_costs
from erase_ray.experiment.measure import Measurements
from erase_ray.experiment.records import record, training_facts
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.tools import ALONE, Tools
from erase_ray.methods import Method
from erase_ray.methods._request import World
from erase_ray.methods.sisa import Sisa
from erase_ray.models import Model
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.training import TrainingRecord, train


def run_merged(setting: Setting, store: Store) -> CellRecord:
    """Serve all requests up to the cell's mark as one."""
    mark = setting.cell.mark
    assert mark is not None
    model, log = _starting_model(setting, store), []
    runner = _chain_runner(setting, model, log)
    seconds = runner.begin()
    runner.serve_merged(setting.chain.merged(mark), mark)
    measurements = Measurements(setting, model)
    measurements.take(mark)
    requests = runner.frame()
    seconds += float(requests["seconds_algorithm"].to_numpy().sum())
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
    """Serve the requests one after the other, from the last snapshot on if there is one."""
    model, log = _starting_model(setting, store), []
    runner = _chain_runner(setting, model, log)
    if tools.pool is not None and isinstance(runner.method, Sisa):
        runner.method.pool = tools.pool
    parent = _parent(setting, store, runner.method)
    course = Course(runner, Measurements(setting, model), log=log)
    journal = ChainJournal(
        setting.journal(store), course, lambda: store.get_weights(parent) if parent else {}, pace
    )

    def at_mark(mark: int) -> None:
        course.measurements.take(mark)
        course.weights[str(mark)] = put_model(store, model, parent)
        log.append({"event": "mark", "mark": mark, "weights": course.weights[str(mark)]})

    if not journal.resume():
        course.begin()
        journal.after()
    runner.serve(setting.chain.requests, at_mark, journal.after)
    return _chain_record(setting, course)


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


def _chain_runner(setting: Setting, model: Model, log: list[dict[str, Any]]) -> ChainRunner:
    cell, cut = setting.cell, setting.cut(model)
    task, interactions, split = setting.task, setting.interactions, setting.split
    world = World(
        task=task,
        interactions=interactions,
        split=split,
        cut=cut,
        examples=task.examples(interactions, split, cut),
        num_items=interactions.num_items,
        train=lambda fresh, left: log.append(
            {"event": "trained"} | training_facts(train_model(setting, fresh, left, log))
        ),
        training=cell.training,
        seed=cell.seed,
    )
    limit_s = math.inf if cell.limit_s is None else cell.limit_s
    return ChainRunner(setting, model, cell.make_method(), world, limit_s)


def train_model(
    setting: Setting, model: Model, interactions: Interactions, log: list[dict[str, Any]]
) -> TrainingRecord:
    """Train a model of the cell on some interactions; its epochs go into ``log``."""

    def on_epoch(epoch: int, loss: float, value: float | None) -> None:
        log.append({"event": "epoch", "epoch": epoch, "loss": loss, "value": value})

    cell = setting.cell
    return train(
        model,
        setting.task,
        interactions,
        setting.split,
        cell.training,
        cell.seed,
        setting.device,
        on_epoch,
    )


def put_model(store: Store, model: Model, parent: str | None = None) -> str:
    """Store the weights of a model, as differences from ``parent`` if there is one."""
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return store.put_weights(state, parent)
