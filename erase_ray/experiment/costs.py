"""Seconds, memory and energy, summarised as rows of ``costs.parquet``."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.experiment.cell import Cell
from erase_ray.experiment.measure import identity
from erase_ray.experiment.meter import Usage
from erase_ray.experiment.results import BASE, RESULTS
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import CellRecord
from erase_ray.scenarios._base import NUM_MARKS

PHASES = ("seconds_data", "seconds_algorithm", "seconds_save")
PERCENTILES = (50, 95, 99)


def training_costs(setting: Setting, marks: tuple[int, ...], seconds: float) -> pd.DataFrame:
    """One row a mark: how long the model was trained."""
    rows = [_row(setting, mark, "seconds_train", seconds, 1) for mark in marks]
    return pd.DataFrame(rows, columns=list(RESULTS))


def request_costs(setting: Setting, requests: pd.DataFrame) -> pd.DataFrame:
    """Mean seconds a request by phase, and mean and percentiles of data + algorithm.

    At each mark all requests up to it count. ``seconds_save`` (measuring and saving at the marks)
    is spread over the requests and is not part of ``seconds_request``.
    """
    rows = []
    for mark in range(1, len(setting.chain.marks) + 1):
        served = pd.DataFrame(requests[requests["mark"] <= mark])
        total = (served["seconds_data"] + served["seconds_algorithm"]).to_numpy(float)
        values = {phase: float(served[phase].to_numpy(float).mean()) for phase in PHASES} | {
            "seconds_request": float(total.mean()),
        }
        values |= {f"seconds_request_p{p}": float(np.quantile(total, p / 100)) for p in PERCENTILES}
        rows += [_row(setting, mark, name, value, len(served)) for name, value in values.items()]
    return pd.DataFrame(rows, columns=list(RESULTS))


def with_usage(found: CellRecord, setting: Setting, usage: Usage) -> CellRecord:
    """A record with what the cell took: seconds among its facts, all of it among its costs."""
    costs = [frame for frame in (found.costs, usage_costs(setting, usage)) if len(frame)]
    facts = {"seconds": usage.seconds} | found.facts
    return replace(found, costs=pd.concat(costs, ignore_index=True), facts=facts)


def usage_costs(setting: Setting, usage: Usage) -> pd.DataFrame:
    """What the process took for the whole cell, at its last mark (0 for base models).

    ``energy_j`` is that of the devices, whoever used them, and ``gpu_sharers`` the most processes
    that computed on one of them at once; their ``n``, and that of all rows about GPUs, is the
    number of devices. Without a GPU there are no such rows, and without NVML none of energy. Of a
    cell that was killed and resumed it is the last try, without helpers in other processes.
    """
    found = {
        "cpu_seconds": (usage.cpu_seconds, "s", 1),
        "peak_memory_mb": (usage.peak_memory_mb, "MB", 1),
    }
    if usage.gpus:
        found["gpu_seconds"] = (usage.gpu_seconds, "s", usage.gpus)
        found["peak_gpu_memory_mb"] = (usage.peak_gpu_memory_mb, "MB", usage.gpus)
    if usage.energy:
        found["energy_j"] = (usage.energy.joules, "J", usage.gpus)
        found["gpu_sharers"] = (float(usage.energy.sharers), "processes", usage.gpus)
    mark = _last_mark(setting.cell)
    rows = [_row(setting, mark, name, value, n, unit) for name, (value, unit, n) in found.items()]
    return pd.DataFrame(rows, columns=list(RESULTS))


def _last_mark(cell: Cell) -> int:
    return 0 if cell.method.name == BASE else cell.mark or NUM_MARKS


def _identity(setting: Setting, mark: int) -> dict[str, Any]:
    """As that of a result; a base model may have no scenario."""
    if setting.cell.scenario:
        return identity(setting, mark)
    cell = setting.cell
    return {
        "task": setting.data.task,
        "dataset": cell.dataset.name,
        "model": cell.model.name,
        "method": cell.method.title,
        "scenario": "",
        "category": "",
        "fraction": math.nan,
        "seed": cell.seed,
        "mark": mark,
        "cell": cell.key,
    }


def _row(
    setting: Setting, mark: int, metric: str, value: float, n: int, unit: str = "s"
) -> dict[str, Any]:
    return _identity(setting, mark) | {
        "metric": metric,
        "k": 0,
        "value": value,
        "unit": unit,
        "better": "down",
        "n": n,
        "test_hash": "",
    }
