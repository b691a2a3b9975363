"""Execute one node of a plan against the store: prepare a dataset, or run a cell."""

import logging
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.experiment.cell import Cell, Part, chain_key, data_key, make_scenario, title
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.costs import request_costs, training_costs
from erase_ray.experiment.measure import Measurements, identity
from erase_ray.experiment.preparing import Places, find_raw, read_and_prepare
from erase_ray.experiment.results import BASE, ORIGINAL, RANKED, REQUESTS, RESULTS
from erase_ray.experiment.setting import Setting, build_chain
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.methods._request import World
from erase_ray.models import Model
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.training import TrainingRecord, train

logger = logging.getLogger(__name__)


def run_node(node: dict[str, Any], storage: str) -> dict[str, Any]:
    """Execute a node of a plan, unless the store has its result.

    Args:
        node: ``{"kind": "data", "dataset": ..., "asks": [{"scenario": ..., "seed": ...}, ...]}`` or
            ``{"kind": "cell", "cell": ...}``, the values as plain dicts of a :class:`Part` and a
            :class:`Cell`. Chains that ``asks`` lists are made before the data are stored.
        storage: Address of the store.

    Returns:
        ``label``, ``seconds`` and ``status`` (``done``, or ``cached`` if nothing had to be done).
    """
    started = time.perf_counter()
    store = Store(storage)
    if node["kind"] == "data":
        dataset = Part(**node["dataset"])
        label, done = f"data/{title(dataset)}", prepare_data(dataset, store, node.get("asks", []))
    else:
        cell = Cell(**node["cell"])
        label, done = cell.label, run_cell(cell, store)
    seconds = time.perf_counter() - started
    logger.info("%s %s in %.1f s", label, "done" if done else "was stored", seconds)
    return {"label": label, "seconds": seconds, "status": "done" if done else "cached"}


def prepare_data(dataset: Part, store: Store, asks: list[dict[str, Any]] | None = None) -> bool:
    """Prepare a dataset, and the chains that ``asks`` lists, into the store.

    Returns:
        False if all of it was there.

    Raises:
        ScenarioError: One of ``asks`` is impossible with these data; nothing is stored then.
    """
    key = data_key(dataset)
    lacking = _lacking(dataset, store, asks or [])
    is_stored = store.has_data(dataset.name, key)
    if is_stored and not lacking:
        return False
    data = store.get_data(dataset.name, key) if is_stored else _prepared(dataset, store)
    chains = {
        name: build_chain(make_scenario(scenario, data.task), data, seed)
        for name, (scenario, seed) in lacking.items()
    }
    if not is_stored:
        store.put_data(data, key)
    for name, chain in chains.items():
        store.put_chain(dataset.name, key, name, chain)
    return True


def _lacking(
    dataset: Part, store: Store, asks: list[dict[str, Any]]
) -> dict[str, tuple[Part, int]]:
    """Scenario and seed of the chains that the store does not have, by their keys."""
    asked = [(Part(**ask["scenario"]), ask["seed"]) for ask in asks]
    chains = {chain_key(dataset, scenario, seed): (scenario, seed) for scenario, seed in asked}
    key = data_key(dataset)
    return {k: v for k, v in chains.items() if not store.has_chain(dataset.name, key, k)}


def _prepared(dataset: Part, store: Store) -> Prepared:
    places = Places.of_jobs(store)
    return read_and_prepare(dataset, find_raw(dataset, places), places.scratch)


def run_cell(cell: Cell, store: Store, device: torch.device | None = None) -> bool:
    """Run a cell and commit its record; False if the store had it."""
    if store.has_cell(cell.key):
        return False
    logger.info("%s starts (%s)", cell.label, cell.key[:12])
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    setting = Setting.load(cell, store, place)
    return store.put_cell(cell.key, _runner(cell)(setting, store))


def _runner(cell: Cell) -> Callable[[Setting, Store], CellRecord]:
    special = {BASE: _run_base, ORIGINAL: _run_original}
    if cell.method.name in special:
        return special[cell.method.name]
    return _run_chain if cell.make_method().needs_base else _run_retrained


def _run_base(setting: Setting, store: Store) -> CellRecord:
    model = setting.fresh_model()
    log: list[dict[str, Any]] = []
    trained = _train(setting, model, setting.interactions, log)
    facts = _facts(setting) | _training_facts(trained)
    return _record(setting, log=log, weights={"0": _put(store, model)}, facts=facts)


def _run_original(setting: Setting, store: Store) -> CellRecord:
    base = store.manifest(setting.cell.base.key)
    measurements = Measurements(setting, setting.base_model(store))
    marks = tuple(range(1, NUM_MARKS + 1))
    measurements.take(*marks)
    return _record(
        setting,
        measurements,
        costs=training_costs(setting, marks, base["facts"]["seconds_train"]),
        weights={str(mark): base["weights"]["0"] for mark in marks},
    )


def _run_retrained(setting: Setting, store: Store) -> CellRecord:
    """Serve all requests up to the cell's mark as one, with a method that trains anew."""
    mark = setting.cell.mark
    assert mark is not None
    model, log = setting.fresh_model(), []
    runner = _chain_runner(setting, model, log)
    runner.serve_merged(setting.chain.merged(mark), mark)
    measurements = Measurements(setting, model)
    measurements.take(mark)
    requests = runner.frame()
    seconds = float(requests["seconds_algorithm"].to_numpy().sum())
    return _record(
        setting,
        measurements,
        requests=requests,
        costs=training_costs(setting, (mark,), seconds),
        log=log,
        weights={str(mark): _put(store, model)},
    )


def _run_chain(setting: Setting, store: Store) -> CellRecord:
    parent = store.manifest(setting.cell.base.key)["weights"]["0"]
    model = setting.base_model(store)
    log: list[dict[str, Any]] = []
    measurements = Measurements(setting, model)
    weights: dict[str, str] = {}

    def at_mark(mark: int) -> None:
        measurements.take(mark)
        weights[str(mark)] = _put(store, model, parent)
        log.append({"event": "mark", "mark": mark, "weights": weights[str(mark)]})

    runner = _chain_runner(setting, model, log)
    runner.serve(setting.chain.requests, at_mark)
    requests = runner.frame()
    costs = request_costs(setting, requests)
    return _record(setting, measurements, requests=requests, costs=costs, log=log, weights=weights)


def _chain_runner(setting: Setting, model: Model, log: list[dict[str, Any]]) -> ChainRunner:
    cut = setting.cut(model)
    task, interactions, split = setting.task, setting.interactions, setting.split
    world = World(
        task=task,
        interactions=interactions,
        split=split,
        cut=cut,
        examples=task.examples(interactions, split, cut),
        num_items=interactions.num_items,
        train=lambda fresh, left: log.append(
            {"event": "trained"} | _training_facts(_train(setting, fresh, left, log))
        ),
    )
    return ChainRunner(setting, model, setting.cell.make_method(), world)


def _train(
    setting: Setting, model: Model, interactions: Interactions, log: list[dict[str, Any]]
) -> TrainingRecord:
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


def _put(store: Store, model: Model, parent: str | None = None) -> str:
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    return store.put_weights(state, parent)


def _training_facts(trained: TrainingRecord) -> dict[str, Any]:
    return {
        "seconds_train": trained.seconds,
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "best_value": max(trained.valid_curve, default=None),
    }


def _facts(setting: Setting) -> dict[str, Any]:
    cell = setting.cell
    return {
        "label": cell.label,
        "task": setting.data.task,
        "dataset": cell.dataset.name,
        "data_key": cell.data_key,
        "split_hash": setting.data.split.hash,
        "model": cell.model.name,
        "method": cell.method.name,
        "seed": cell.seed,
        "mark": cell.mark,
        "device": setting.device.type,
    }


def _record(
    setting: Setting,
    measurements: Measurements | None = None,
    *,
    requests: pd.DataFrame | None = None,
    costs: pd.DataFrame | None = None,
    log: list[dict[str, Any]] | None = None,
    weights: dict[str, str],
    facts: dict[str, Any] | None = None,
) -> CellRecord:
    results, ranked = pd.DataFrame(columns=list(RESULTS)), pd.DataFrame(columns=list(RANKED))
    known = facts or _facts(setting)
    if measurements:
        results, ranked = measurements.frames()
        known |= _measured_facts(setting, measurements)
    if requests is None:
        requests = pd.DataFrame(columns=list(REQUESTS))
    return CellRecord(
        settings=setting.cell.model_dump(mode="json"),
        results=results,
        costs=pd.DataFrame(columns=list(RESULTS)) if costs is None else costs,
        requests=requests,
        ranked=ranked,
        log=log or [],
        weights=weights,
        facts=known | {"outcomes": requests["status"].value_counts().sort_index().to_dict()},
    )


def _measured_facts(setting: Setting, measurements: Measurements) -> dict[str, Any]:
    named = identity(setting, 0)
    return {
        "scenario": named["scenario"],
        "category": named["category"],
        "fraction": named["fraction"],
        "chain_hash": setting.chain.hash,
        "test_hash": measurements.test_hash,
        "probe_hash": measurements.probe_hash,
        "num_requests": len(setting.chain),
        "marks": list(setting.chain.marks),
        "num_test_queries": len(measurements.questions["test"]),
        "num_probe_queries": len(measurements.questions["probe"]),
    }
