"""Seconds, summarised as rows of ``costs.parquet``."""

from typing import Any

import numpy as np
import pandas as pd

from erase_ray.experiment.measure import identity
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.setting import Setting

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


def _row(setting: Setting, mark: int, metric: str, value: float, n: int) -> dict[str, Any]:
    return identity(setting, mark) | {
        "metric": metric,
        "k": 0,
        "value": value,
        "unit": "s",
        "better": "down",
        "n": n,
        "test_hash": "",
    }
