"""A real store with cells whose numbers are made up."""

import hashlib
import json
from typing import Any

import pandas as pd
import torch

from erase_ray.experiment.results import REQUESTS, RESULTS
from erase_ray.experiment.store import CellRecord, Store

MARKS = (2, 4, 5, 7)
"""Requests served at each mark."""
RISING = (0.1, 0.2, 0.3, 0.4)
EPOCHS = [
    {"event": "epoch", "epoch": 0, "loss": 0.9, "value": 0.25},
    {"event": "epoch", "epoch": 1, "loss": 0.5, "value": None},
]
TRAINED = {"event": "trained", "seconds_train": 1.0}


def put(
    store: Store,
    method: str = "scif",
    *,
    seed: int = 2,
    mark: int | None = None,
    values: dict[tuple[str, int], tuple[float, ...]] | None = None,
    settings: dict[str, Any] | None = None,
    epochs: int = 2,
    log: list[dict[str, Any]] | None = None,
    version: int = 1,
    test_hash: str = "t" * 8,
    weight: float = 1.0,
    seconds: float = 10.0,
    more: dict[str, Any] | None = None,
) -> str:
    """Commit a cell and return its key.

    Args:
        values: One number a mark, by metric and cut-off.
        version: Changes the key and nothing else.
        weight: What the stored weights hold.
        more: ``audit`` or ``shadow`` of the settings.
    """
    whole = _settings(method, seed, mark, epochs, settings or {}) | (more or {})
    key = hashlib.sha256(json.dumps([whole, version]).encode()).hexdigest()
    named = {"task": "cf", "dataset": "toy", "model": "bpr", "method": method, "seed": seed}
    named |= {"scenario": "sensitive", "category": "health", "fraction": 0.05, "cell": key}
    found = {("recall", 20): RISING} if values is None else values
    marks = (mark,) if mark else (1, 2, 3, 4)
    results = [
        named
        | {"mark": at, "metric": metric, "k": k, "value": value, "unit": "share"}
        | {"better": "up", "n": 100, "test_hash": test_hash}
        for (metric, k), numbers in found.items()
        for at, value in zip(marks, numbers, strict=True)
    ]
    is_base = method == "base"
    last = 0 if is_base else mark or 4
    cost = named | {"mark": last, "metric": "seconds_train" if is_base else "seconds_request"}
    cost |= {"k": 0, "value": seconds / 7, "unit": "s", "better": "down", "n": 7, "test_hash": ""}
    sha = store.put_weights({"w": torch.full((4,), weight)})
    record = CellRecord(
        settings=whole,
        results=pd.DataFrame([] if is_base else results, columns=list(RESULTS)),
        costs=pd.DataFrame([cost], columns=list(RESULTS)),
        requests=pd.DataFrame([] if is_base else _requests(), columns=list(REQUESTS)),
        log=log or [],
        weights={str(last): sha},
        facts=_facts(method, seed, mark, whole, seconds) | ({} if is_base else _measured()),
    )
    assert store.put_cell(key, record)
    return key


def put_run(store: Store, run: str, keys: list[str]) -> None:
    """A run whose plan has these cells."""
    nodes = [{"key": key, "kind": "scif", "label": "toy", "done": True} for key in keys]
    store.put_run(run, "plan.json", json.dumps({"nodes": nodes}))


def _settings(method, seed, mark, epochs, settings) -> dict[str, Any]:
    return {
        "dataset": {"name": "toy", "settings": {"min_rating": 0.5, "of": None}},
        "model": {"name": "bpr", "settings": {"sizes": [8, 4], "tied": True}},
        "training": {"epochs": epochs, "optimiser": {"name": "adam"}},
        "scenario": {"name": "sensitive", "settings": {"category": "health", "fraction": 0.05}},
        "method": {"name": method, "settings": settings},
        "seed": seed,
        "mark": mark,
        "limit_s": None,
    }


def _requests() -> list[dict[str, Any]]:
    rows = [("applied", 0.5), ("skipped", None), ("applied", 0.25)]
    return [
        dict.fromkeys(REQUESTS, 0)
        | {"request": 3 - n, "status": status, "reason": "", "details": "{}", "mark": 1}
        | {"step_norm": norm, "seconds_data": 0.25, "seconds_algorithm": n, "seconds_save": 9.0}
        for n, (status, norm) in enumerate(rows)
    ]


def _facts(method, seed, mark, settings, seconds) -> dict[str, Any]:
    audit, shadow = settings.get("audit"), settings.get("shadow")
    what = method + (f"@{mark}" if mark else "") + (f"~{shadow['index']}" if shadow else "")
    what += f"+{audit['name']}" if audit else ""
    label = f"toy:small/bpr/{what}/s{seed}"
    named = {"task": "cf", "dataset": "toy", "model": "bpr", "method": method, "seed": seed}
    return named | {"label": label, "device": "cpu", "split_hash": "s" * 8, "seconds": seconds}


def _measured() -> dict[str, Any]:
    outcomes = {"applied": 2, "skipped": 1}
    return {"marks": list(MARKS), "test_hash": "t" * 8, "outcomes": outcomes}
