"""Numbers of ERASE as rows of our table of results."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from erase_ray.experiment.results import ORIGINAL, RESULTS, RETRAIN
from erase_ray.imports.csv_tables import SensitiveRow
from erase_ray.imports.logs import LoggedResult
from erase_ray.imports.names import BASE, DATASETS, RETRAINED, Artefact
from erase_ray.metrics import METRICS
from erase_ray.models import MODELS

SOURCE = "erase"
COLUMNS = (*RESULTS, "source")
"""Columns of imported results."""
LOGGED = ("recall", "ndcg", "hit", "mrr", "precision")
"""Metrics whose name in RecBole's logs is ours, and which are defined alike."""
DECIMALS = 4
"""To which RecBole rounds what it logs."""
IDENTITY = [name for name in COLUMNS if name not in ("value", "n")]


def rows_of_log(results: Iterable[LoggedResult]) -> list[dict[str, Any]]:
    """One row a number; numbers of metrics that we have not are left out.

    A test of a retrained or unlearned model is on the test rows of the data without the requests up
    to that mark, split anew, so it is not the same test set at all marks (hence no ``test_hash``).
    The base model's own test comes before any request: its mark is 0.
    """
    return [
        _row(result.about, value.metric, value.k, value.value, math.nan)
        for result in results
        if result.about is not None
        for value in result.values
        if value.metric in LOGGED
    ]


def rows_of_table(lines: Iterable[SensitiveRow]) -> list[dict[str, Any]]:
    """Two rows a line: the share of users with a sensitive item, and the mean number of them."""
    rows = []
    for line in lines:
        about = {
            "dataset": DATASETS.get(line.dataset, line.dataset),
            "model": line.model.lower(),
            "method": line.method,
            "scenario": "sensitive",
            "category": line.category,
            "fraction": line.fraction,
            "seed": line.seed,
            "mark": line.checkpoint + 1,
        }
        for metric, value in (("sensitive_share", line.share), ("sensitive_count", line.count)):
            rows.append(_finished(about, metric, line.k, value, line.num_users))
    return rows


def frame_of(rows: Iterable[dict[str, Any]]) -> tuple[pd.DataFrame, int]:
    """A table with ``COLUMNS``, and how many rows were left out because a later one says the same.

    Of several numbers about one thing the one that was read last counts.
    """
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    kept = frame.drop_duplicates(IDENTITY, keep="last").reset_index(drop=True)
    return kept, len(frame) - len(kept)


def _row(about: Artefact, metric: str, k: int, value: float, n: float) -> dict[str, Any]:
    method = {BASE: ORIGINAL, RETRAINED: RETRAIN}.get(about.kind, about.algorithm)
    known = {
        "dataset": about.our_dataset,
        "model": about.our_model,
        "method": method,
        "scenario": about.scenario,
        "category": about.category,
        "fraction": math.nan if about.fraction is None else about.fraction,
        "seed": about.seed,
        "mark": 0 if about.checkpoint is None else about.checkpoint + 1,
    }
    return _finished(known, metric, k, value, n)


def _finished(about: dict[str, Any], metric: str, k: int, value: float, n: float) -> dict[str, Any]:
    kind = METRICS.get(metric)
    model = about["model"]
    task = MODELS.get(model).task if model in MODELS.names() else ""
    facts = {"metric": metric, "k": k, "value": value, "unit": kind.unit, "better": kind.better}
    rest = {"n": n, "test_hash": "", "cell": "", "source": SOURCE}
    return {"task": task} | about | facts | rest
