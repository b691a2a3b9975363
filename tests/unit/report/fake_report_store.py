import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.errors import StoreError
from erase_ray.experiment.results import REQUESTS, RESULTS
from erase_ray.scenarios._base import Chain, RequestSpec

COMMON = {"scenario": "sensitive", "category": "health", "fraction": 0.05}
METRICS = {"recall": "up", "ndcg": "up", "sensitive_share": "down"}


class FakeStore:
    """What a report reads, in memory."""

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, Any]] = {}
        self.run_files: dict[tuple[str, str], str] = {}
        self.run_events: dict[str, list[dict[str, Any]]] = {}
        self.chain: Chain | None = None

    def runs(self) -> list[str]:
        return sorted({run for run, _ in self.run_files})

    def get_run(self, run: str, name: str) -> str | None:
        return self.run_files.get((run, name))

    def events(self, run: str) -> list[dict[str, Any]]:
        return self.run_events.get(run, [])

    def put_status(self, run: str, failed: list[dict[str, str]]) -> None:
        status = {"state": "failed", "updated": "2026-02-01T10:30:00+00:00", "failed": failed}
        self.run_files[run, "status.json"] = json.dumps(status)

    def put_plan(self, run: str, labels: dict[str, str], kind: str = "scif") -> None:
        nodes = [{"key": key, "kind": kind, "label": label} for key, label in labels.items()]
        self.run_files[run, "plan.json"] = json.dumps({"nodes": nodes})

    def get_chain(self, dataset: str, key: str, chain: str) -> Chain:
        if self.chain is None:
            raise StoreError(f"chain {chain[:12]} is not there")
        return self.chain

    def done_cells(self) -> set[str]:
        return {key for key, cell in self.cells.items() if cell["done"]}

    def manifest(self, key: str) -> dict[str, Any]:
        return self.cells[key]["manifest"]

    def settings(self, key: str) -> dict[str, Any]:
        return self.cells[key]["settings"]

    def table(self, key: str, name: str) -> pd.DataFrame:
        if self.cells[key].get("broken"):
            raise StoreError(f"'{name}.parquet' of {key[:12]} has the wrong checksum")
        if name not in self.cells[key]["tables"]:
            raise StoreError(f"'{name}.parquet' of {key[:12]} is not there")
        return self.cells[key]["tables"][name]

    def planned(self) -> dict[str, dict[str, Any]]:
        return {key: cell["settings"] for key, cell in self.cells.items()}

    def keys(self) -> list[str]:
        return list(self.cells)

    def key(self, label: str) -> str:
        return next(key for key, cell in self.cells.items() if cell["label"] == label)

    def add(
        self,
        dataset: str,
        model: str,
        method: str,
        values: dict[tuple[str, int], list[float]],
        *,
        seed: int = 0,
        mark: int | None = None,
        seconds: dict[str, float] | None = None,
        statuses: list[tuple[str, str]] | None = None,
        test_hash: str = "a" * 64,
        settings: dict[str, Any] | None = None,
        num_requests: int = 4,
        done: bool = True,
    ) -> str:
        """A cell; ``values`` hold one number a mark, or one for the cell's own mark."""
        label = f"{dataset}/{model}/{method}{f'@{mark}' if mark else ''}/s{seed}"
        key = hashlib.sha256(f"{label}{settings}".encode()).hexdigest()
        marks = [mark] if mark else [1, 2, 3, 4]
        named = {"task": "cf", "dataset": dataset, "model": model, "method": method} | COMMON
        named |= {"seed": seed, "cell": key}

        def rows(found: dict[tuple[str, int], list[float]], unit: str, hashed: str):
            return [
                named
                | {"mark": at, "metric": metric, "k": k, "value": value, "unit": unit}
                | {"better": METRICS.get(metric, "down"), "n": 100, "test_hash": hashed}
                for (metric, k), numbers in found.items()
                for at, value in zip(marks, numbers, strict=True)
            ]

        costs = {(name, 0): [value] * len(marks) for name, value in (seconds or {}).items()}
        requests = [
            dict.fromkeys(REQUESTS, 0)
            | {"request": n, "status": status, "reason": reason, "details": "{}"}
            for n, (status, reason) in enumerate(statuses or [])
        ]
        self.cells[key] = {
            "done": done,
            "label": label,
            "settings": _settings(dataset, model, method, seed, mark, settings or {}),
            "manifest": _manifest(key, label, test_hash, num_requests),
            "tables": {
                "results": pd.DataFrame(rows(values, "share", test_hash), columns=list(RESULTS)),
                "costs": pd.DataFrame(rows(costs, "s", ""), columns=list(RESULTS)),
                "requests": pd.DataFrame(requests, columns=list(REQUESTS)),
            },
        }
        return key


def _settings(dataset, model, method, seed, mark, settings) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset, "settings": {"min_rating": 0}},
        "model": {"name": model, "settings": {"dimension": 64}},
        "training": {"epochs": 100, "learning_rate": 0.001},
        "scenario": {"name": "sensitive", "settings": {"category": "health", "fraction": 0.05}},
        "method": {"name": method, "settings": settings},
        "seed": seed,
        "mark": mark,
    }


def _manifest(key: str, label: str, test_hash: str, num_requests: int) -> dict[str, Any]:
    return {
        "format": 1,
        "key": key,
        "created": "2026-02-01T10:20:30+00:00",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "facts": {
            "label": label,
            "task": "cf",
            "category": "health",
            "fraction": 0.05,
            "test_hash": test_hash,
            "split_hash": "b" * 64,
            "num_requests": num_requests,
            "num_test_queries": 100,
            "num_probe_queries": num_requests,
            "device": "cpu",
        },
    }


def answers(shown: list[bool], found: list[bool]) -> pd.DataFrame:
    """What a model showed at the last mark; item 0 is sensitive, item 9 is what was looked for."""
    rows = []
    for asks, first, flags in (("test", 9, found), ("probe", 0, shown)):
        for user, is_there in enumerate(flags):
            items = np.array([first if is_there else 5, *range(20, 39)], np.int32)
            rows.append(
                {"mark": 4, "asks": asks, "query": user, "user": user, "row": user, "items": items}
                | {"relevant": np.array([9], np.int32)}
            )
    return pd.DataFrame(rows)


def toy_chain(num_items: int = 40) -> Chain:
    """Eight people ask; item 0 is sensitive."""
    requests = tuple(RequestSpec(n, np.array([n]), np.array([n])) for n in range(8))
    return Chain(requests, np.arange(8), np.arange(num_items) == 0)


def curves(recall: list[float], ndcg: list[float], top10: list[float], top20: list[float]):
    return {
        ("recall", 20): recall,
        ("ndcg", 20): ndcg,
        ("sensitive_share", 10): top10,
        ("sensitive_share", 20): top20,
    }


def add_small(store: FakeStore, seed: int = 0, test_hash: str = "a" * 64) -> None:
    """Original, four retrainings and scif of one dataset and model, with round numbers."""
    name, lift = ("toy", "bpr"), 0.02 * seed
    flat = curves([0.5 + lift] * 4, [0.4] * 4, [0.8] * 4, [0.9] * 4)
    store.add(*name, "original", flat, seed=seed, seconds={"seconds_train": 12.0})
    for mark, seconds in zip((1, 2, 3, 4), (8.0, 9.0, 11.0, 12.0), strict=True):
        point = curves([0.48], [0.39], [0.5], [0.6])
        costs = {"seconds_train": seconds}
        merged = [("applied", "")]
        store.add(*name, "retrain", point, seed=seed, mark=mark, seconds=costs, statuses=merged)
    falling = curves(
        [0.5, 0.49, 0.48, 0.47 + lift],
        [0.4, 0.39, 0.38, 0.37],
        [0.7, 0.6, 0.55, 0.52],
        [0.9, 0.8, 0.7, 0.65],
    )
    costs = {
        "seconds_data": 0.01,
        "seconds_algorithm": 0.19,
        "seconds_save": 0.05,
        "seconds_request": 0.2,
        "seconds_request_p50": 0.18,
        "seconds_request_p95": 0.4,
        "seconds_request_p99": 0.5,
    }
    served = [("applied", ""), ("applied", ""), ("timed_out", "60 s in solve"), ("applied", "")]
    store.add(
        *name, "scif", falling, seed=seed, seconds=costs, statuses=served, test_hash=test_hash
    )
