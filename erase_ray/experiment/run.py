"""Execute one node of a plan against the store: prepare a dataset, or run a cell."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from erase_ray import tiles
from erase_ray.data.prepared import Prepared
from erase_ray.experiment import live
from erase_ray.experiment.audit_cells import run_audit
from erase_ray.experiment.cell import Cell, Part, chain_key, data_key, make_scenario, title
from erase_ray.experiment.chain_cells import (
    observed_record,
    put_model,
    run_chain,
    run_merged,
    train_model,
)
from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.costs import training_costs, with_usage
from erase_ray.experiment.lease import Lease, Seen
from erase_ray.experiment.measure import Measurements
from erase_ray.experiment.meter import Meter
from erase_ray.experiment.preparing import Places, find_raw, read_and_prepare
from erase_ray.experiment.records import record, training_facts
from erase_ray.experiment.results import BASE, ORIGINAL
from erase_ray.experiment.setting import Setting, build_chain
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.tools import ALONE, Tools
from erase_ray.scenarios._base import NUM_MARKS

logger = logging.getLogger(__name__)

WAIT_S = 5.0


def run_node(node: dict[str, Any], storage: str, tools: Tools = ALONE) -> dict[str, Any]:
    """Execute a node of a plan, unless the store has its result.

    Args:
        node: ``{"kind": "data", "dataset": ..., "asks": [{"scenario": ..., "seed": ...}, ...]}`` or
            ``{"kind": "cell", "cell": ...}``, the values as plain dicts of a :class:`Part` and a
            :class:`Cell`. Chains that ``asks`` lists are made before the data are stored. A driver
            adds its name (``driver``), what it saw of another's lease (``seen``), and ``tile`` (see
            :mod:`erase_ray.tiles`) after a try that ran out of memory.
        storage: Address of the store.
        tools: Help from outside this process.

    Returns:
        ``label``, ``seconds`` and ``status`` (``done``; ``cached`` if nothing had to be done;
        ``busy`` if another driver's worker holds the lease, with its token as ``lease``). Without
        a driver a lease is waited for.
    """
    started = time.perf_counter()
    store = Store(storage)
    task = _task(node, store, tools)
    lease = store.lease(task.dataset, task.key, node.get("driver") or f"alone-{uuid.uuid4().hex}")
    status = "cached"
    if not task.is_done():
        if held := _acquire(lease, node, task.is_done):
            return {"label": task.label, "status": "busy", "lease": held}
        try:
            with tiles.scale(node.get("tile", 1.0)):
                status = "done" if task.run() else "cached"
        finally:
            lease.release()
    seconds = time.perf_counter() - started
    logger.info("%s %s in %.1f s", task.label, status, seconds)
    return {"label": task.label, "seconds": seconds, "status": status}


@dataclass(frozen=True)
class _Task:
    label: str
    dataset: str | None
    key: str
    is_done: Callable[[], bool]
    run: Callable[[], bool]


def _task(node: dict[str, Any], store: Store, tools: Tools) -> _Task:
    if node["kind"] == "data":
        dataset, asks = Part(**node["dataset"]), node.get("asks", [])
        key = data_key(dataset)
        return _Task(
            f"data/{title(dataset)}",
            dataset.name,
            key,
            lambda: store.has_data(dataset.name, key) and not _lacking(dataset, store, asks),
            lambda: prepare_data(dataset, store, asks),
        )
    cell = Cell(**node["cell"])
    run = partial(run_cell, cell, store, tools=tools)
    return _Task(cell.label, None, cell.key, lambda: store.has_cell(cell.key), run)


def _acquire(lease: Lease, node: dict[str, Any], is_done: Callable[[], bool]) -> str | None:
    """Take the lease; a driver is told who holds it, others wait."""
    if "driver" in node:
        return lease.acquire(Seen(*node["seen"]) if "seen" in node else None)
    token, since = "", time.monotonic()
    while held := lease.acquire(Seen(token, time.monotonic() - since)):
        if held != token:
            token, since = held, time.monotonic()
        logger.info("another process works on it; waiting")
        time.sleep(WAIT_S)
        if is_done():
            break
    return None


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


def run_cell(
    cell: Cell,
    store: Store,
    device: torch.device | None = None,
    pace: Pace | None = None,
    tools: Tools = ALONE,
) -> bool:
    """Run a cell and commit its record; False if the store had it.

    A chain or a training that was killed goes on from its last snapshot and ends in the same bytes,
    but for seconds.

    Args:
        cell: What to run.
        store: Has the data and the base model, if the cell needs one.
        device: A GPU where there is one, by default.
        pace: How often a chain or a training leaves a snapshot.
        tools: Help from outside this process.
    """
    if store.has_cell(cell.key):
        # a worker may have died between the commit and this
        store.drop_working_files(cell.key)
        return False
    logger.info("%s starts (%s)", cell.label, cell.key[:12])
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with live.streamed(store.stream(cell.key)), Meter(place) as meter:
        setting = Setting.load(cell, store, place)
        found = _runner(cell, pace or Pace(), tools)(setting, store)
        is_first = store.put_cell(cell.key, with_usage(found, setting, meter.usage()))
    store.drop_working_files(cell.key)
    return is_first


def _runner(cell: Cell, pace: Pace, tools: Tools) -> Callable[[Setting, Store], CellRecord]:
    if cell.audit is not None:
        return run_audit
    special = {BASE: partial(_run_base, pace=pace, tools=tools), ORIGINAL: _run_original}
    if cell.method.name in special:
        return special[cell.method.name]
    if cell.make_method().per_mark:
        return partial(run_merged, pace=pace)
    return partial(run_chain, pace=pace, tools=tools)


def _run_base(setting: Setting, store: Store, pace: Pace, tools: Tools) -> CellRecord:
    model = setting.fresh_model()
    log = live.Log()
    trained = train_model(setting, model, setting.interactions, log, pace, tools.trainer)
    weights, facts = {"0": put_model(store, model)}, training_facts(trained)
    if setting.cell.shadow is not None:
        return observed_record(setting, model, None, log, weights, facts)
    return record(setting, log=log, weights=weights, facts=facts)


def _run_original(setting: Setting, store: Store) -> CellRecord:
    base = store.manifest(setting.cell.base.key)
    measurements = Measurements(setting, setting.base_model(store))
    marks = tuple(range(1, NUM_MARKS + 1))
    measurements.take(*marks)
    return record(
        setting,
        measurements,
        costs=training_costs(setting, marks, base["facts"]["seconds_train"]),
        weights={str(mark): base["weights"]["0"] for mark in marks},
    )
