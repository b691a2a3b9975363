"""Ask a model everything that is measured at a mark, and turn the answers into rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.evaluation import measure, rank
from erase_ray.experiment.results import RANKED, RESULTS
from erase_ray.experiment.setting import Setting, queries_hash
from erase_ray.metrics import METRICS, Answers, Metric
from erase_ray.models import Model
from erase_ray.tasks import Queries

KS = (10, 20)
"""Cut-offs of every metric, as in the benchmark."""


@dataclass(eq=False)
class Measurements:
    """Collects result rows and ranked lists while a cell passes its marks."""

    setting: Setting
    model: Model
    results: list[dict[str, Any]] = field(default_factory=list)
    ranked: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.questions = {
            "test": self.setting.test_queries(self.model),
            "probe": self.setting.probe_queries(self.model),
        }
        self.test_hash = queries_hash(self.questions["test"])
        self.probe_hash = queries_hash(self.questions["probe"])

    def take(self, *marks: int) -> None:
        """Measure the model as it is now, and write it down for each of ``marks``."""
        lists = {asks: rank(self.model, q, max(KS)) for asks, q in self.questions.items()}
        for mark in marks:
            for asks, queries in self.questions.items():
                chosen = self._chosen(asks, queries, mark)
                self._write(mark, asks, _pick(queries, chosen), lists[asks][chosen])

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The results and the ranked lists so far."""
        ranked = pd.concat(self.ranked) if self.ranked else pd.DataFrame(columns=list(RANKED))
        return pd.DataFrame(self.results, columns=list(RESULTS)), ranked

    def _chosen(self, asks: str, queries: Queries, mark: int) -> np.ndarray:
        """Positions of the queries that count at ``mark``: all tests, the people probed so far."""
        if asks == "test":
            return np.arange(len(queries))
        return np.flatnonzero(np.isin(queries.users, self.setting.chain.probed_at(mark)))

    def _write(self, mark: int, asks: str, queries: "Asked", ranked_QK: np.ndarray) -> None:
        if len(ranked_QK):
            self.ranked.append(_ranked_frame(mark, asks, queries, ranked_QK))
        items_I = self.setting.chain.items_at(mark)
        if asks == "probe" and not self.setting.chain.items.any():
            return
        answers = Answers(ranked_QK, queries.relevant, items_I)
        test_hash = self.test_hash if asks == "test" else self.probe_hash
        for found in measure(answers, metrics(asks), KS):
            self.results.append(
                identity(self.setting, mark)
                | {
                    "metric": found.metric,
                    "k": found.k,
                    "value": found.value,
                    "unit": found.unit,
                    "better": found.better,
                    "n": found.n,
                    "test_hash": test_hash,
                }
            )


def metrics(asks: str) -> list[Metric]:
    """All known metrics that judge answers to ``asks`` (``test`` or ``probe``), by name."""
    known = [METRICS.get(name) for name in METRICS.names()]
    return [kind() for kind in known if kind.asks == asks]


def identity(setting: Setting, mark: int) -> dict[str, Any]:
    """The columns of a result row that say what was measured."""
    cell, scenario = setting.cell, setting.scenario
    return {
        "task": setting.data.task,
        "dataset": cell.dataset.name,
        "model": cell.model.name,
        "method": cell.method.name,
        "scenario": scenario.name,
        "category": scenario.category,
        "fraction": scenario.fraction,
        "seed": cell.seed,
        "mark": mark,
        "cell": cell.key,
    }


@dataclass(frozen=True, eq=False)
class Asked:
    """The part of some queries that is stored with the answers."""

    rows: np.ndarray
    users: np.ndarray
    relevant: Any


def _pick(queries: Queries, chosen: np.ndarray) -> Asked:
    rows = queries.inputs.rows.cpu().numpy()[chosen]
    return Asked(rows, queries.users[chosen], queries.relevant.pick(chosen))


def _ranked_frame(mark: int, asks: str, asked: Asked, ranked_QK: np.ndarray) -> pd.DataFrame:
    columns: dict[str, Iterable[Any]] = {
        "mark": np.full(len(ranked_QK), mark),
        "asks": [asks] * len(ranked_QK),
        "query": np.arange(len(ranked_QK)),
        "user": asked.users,
        "row": asked.rows,
        "items": list(ranked_QK),
        "relevant": np.split(asked.relevant.values, asked.relevant.offsets[1:-1]),
    }
    return pd.DataFrame({name: list(columns[name]) for name in RANKED})
