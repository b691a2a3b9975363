"""Our side of models.py: data, training epochs and evaluation as the package runs them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part as SplitPart
from erase_ray.data.split import Split
from erase_ray.datasets import DATASETS
from erase_ray.evaluation import measure, rank
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.store import Store
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import MODELS, Model, Shape
from erase_ray.models._adam import Adam
from erase_ray.tasks import TASKS, Cut, Examples, Queries
from erase_ray.training import _Steps, training_edges

METRIC_NAMES = ("recall", "mrr", "ndcg", "hit")
KS = (10, 20)
SEED = 2


@dataclass(frozen=True, eq=False)
class Data:
    """A table with its split."""

    name: str
    task: str
    table: Interactions
    split: Split


def stored(name: str, storage: str) -> Data:
    """A dataset of the package, downloaded and prepared into the store if it is not there."""
    store, part = Store(storage), Part.resolved(DATASETS, name, {})
    prepare_data(part, store)
    data = store.get_data(name, data_key(part))
    return Data(name, data.task, data.interactions, data.split)


def sessions(path: Path, max_sessions: int) -> Data:
    """Sessions of a parquet file with the columns session_id, position and item_id.

    With ``max_sessions`` above 0 that many of them, drawn at random.
    """
    rows = pd.read_parquet(path).sort_values(["session_id", "position"], kind="stable")
    known = rows["session_id"].unique()
    if 0 < max_sessions < len(known):
        kept = seeds.numpy_generator(SEED, "sessions").choice(known, max_sessions, replace=False)
        rows = rows[rows["session_id"].isin(kept)]
    session = pd.factorize(rows["session_id"])[0]
    position = rows["position"].to_numpy()
    columns = {"user": session, "sequence": session, "step": position, "time": position}
    item = pd.factorize(rows["item_id"], sort=True)[0]
    table = Interactions.prepared({**columns, "item": item})
    return Data(path.stem, "session_based", table, TASKS.get("session_based")().split(table))


class Ours:
    """One model of ours with its data, at the benchmark's default settings.

    Args:
        name: Name of the model.
        data: What it is trained on.
        device: Where it runs.
        max_steps: Steps of an epoch at most, of examples drawn at random; 0: all. A graph keeps
            all of its edges.
        max_queries: Test queries at most, drawn at random; 0: all.
        options: What differs from the model's own training settings.
    """

    def __init__(
        self,
        name: str,
        data: Data,
        device: torch.device,
        max_steps: int,
        max_queries: int,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        kind, task = MODELS.get(name), TASKS.get(data.task)()
        shape = Shape(data.table.num_users, data.table.num_items)
        self.model: Model = kind(kind.Settings(), shape).to(device)
        cut = Cut(self.model.max_history, device)
        examples = task.examples(data.table, data.split, cut)
        limit = max_steps * kind.training.batch_size
        self.examples: Examples = examples.take(_some(len(examples), limit).to(device))
        queries = task.queries(data.table, data.split, SplitPart.TEST, cut)
        self.queries = _chosen(queries, _some(len(queries), max_queries))
        self.data, self.device = data, device
        self.settings = kind.training.model_copy(update=dict(options))
        self._prepare()
        self._epoch = 0

    def _prepare(self) -> None:
        model, settings = self.model, self.settings
        model.reset(seeds.torch_generator(SEED, "init"))
        if model.has_edges:
            model.set_edges(*training_edges(self.data.table, self.data.split, self.device))
        model.prepare(self.examples)
        optimizer = Adam(model, settings.learning_rate, settings.weight_decay)
        self._steps = _Steps(model, self.examples, optimizer, settings, SEED)

    def train(self) -> dict[str, Any]:
        """One epoch of the training loop."""
        self._epoch += 1
        return self._timed(lambda: {"loss": self._steps.run(self._epoch)})

    def evaluate(self) -> dict[str, Any]:
        """Rank the catalogue for each test query and judge the lists."""
        return self._timed(lambda: {"metrics": self._measured()})

    def _measured(self) -> dict[str, float]:
        ranked_QK = rank(self.model, self.queries, max(KS))
        nothing_I = np.zeros(self.model.shape.num_items, bool)
        answers = Answers(ranked_QK, self.queries.relevant, nothing_I)
        found = measure(answers, [METRICS.get(name)() for name in METRIC_NAMES], KS)
        return {f"{one.metric}@{one.k}": one.value for one in found}

    def _timed(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        synchronize(self.device)
        start, start_cpu = time.perf_counter(), time.process_time()
        answer = call()
        synchronize(self.device)
        spent = {"wall": time.perf_counter() - start, "cpu": time.process_time() - start_cpu}
        return {**spent, **answer}


def synchronize(device: torch.device) -> None:
    """Wait for the device, if it runs by itself."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _some(num: int, limit: int) -> torch.Tensor:
    """All positions, or ``limit`` of them in random order if that is above 0 and fewer."""
    positions = torch.arange(num)
    if not 0 < limit < num:
        return positions
    return seeds.order(seeds.derive(SEED, "some"), positions)[:limit].sort().values


def _chosen(queries: Queries, positions: torch.Tensor) -> Queries:
    chosen = positions.numpy()
    return replace(
        queries,
        inputs=queries.inputs.take(positions.to(queries.inputs.rows.device)),
        relevant=queries.relevant.pick(chosen),
        masked=queries.masked.pick(chosen),
    )
