"""What a finished cell leaves behind, put together."""

from typing import Any

import pandas as pd

from erase_ray.experiment.measure import Measurements, identity
from erase_ray.experiment.results import RANKED, REQUESTS, RESULTS
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import CellRecord
from erase_ray.training import TrainingRecord


def training_facts(trained: TrainingRecord) -> dict[str, Any]:
    """How a training went, for a log or a manifest."""
    workers = getattr(trained, "workers", 0)
    return ({"workers": workers} if workers else {}) | {
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
        "method": cell.method.title,
        "seed": cell.seed,
        "mark": cell.mark,
        "kind": cell.kind,
        "device": setting.device.type,
    }


def record(
    setting: Setting,
    measurements: Measurements | None = None,
    *,
    results: pd.DataFrame | None = None,
    observed: pd.DataFrame | None = None,
    requests: pd.DataFrame | None = None,
    costs: pd.DataFrame | None = None,
    log: list[dict[str, Any]] | None = None,
    weights: dict[str, str],
    facts: dict[str, Any] | None = None,
) -> CellRecord:
    """The record of a cell.

    Args:
        setting: What the cell worked on.
        measurements: What was measured; None for cells that measure nothing.
        results: What was found where nothing was measured.
        observed: What a shadow model says of examples.
        requests: One request a row, if any were served.
        costs: Seconds, if there are any to tell.
        log: Events in order.
        weights: Name of the stored weights by mark.
        facts: What the manifest says besides what it says of every cell.
    """
    ranked = pd.DataFrame(columns=list(RANKED))
    results = pd.DataFrame(columns=list(RESULTS)) if results is None else results
    known = _facts(setting) | (facts or {})
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
        observed=pd.DataFrame() if observed is None else observed,
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
