"""What the studies of methods share: a trained model on real data, and people who ask."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality_data import BASKETS, Data, baskets, films, sessions, table
from safetensors.torch import load_file, save_file
from torch import Tensor

from erase_ray import seeds
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part
from erase_ray.evaluation import measure, rank
from erase_ray.experiment.chain import attempt
from erase_ray.methods import METHODS, Method, Outcome, Request
from erase_ray.methods._request import World
from erase_ray.metrics import METRICS, Answers
from erase_ray.models import MODELS, Model, Shape, TrainingSettings
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import Cut, Queries
from erase_ray.training import train, training_edges

CPU = torch.device("cpu")
SEED = 2
SHARE = 0.2
"""Share of their training rows that people want forgotten, at least one row."""
TRAINING: dict[str, dict[str, Any]] = {
    "bpr": {"epochs": 60, "batch_size": 2048, "learning_rate": 3e-3},
    "lightgcn": {"epochs": 40, "batch_size": 2048, "learning_rate": 5e-3},
    "sgl": {"epochs": 15, "batch_size": 2048, "learning_rate": 5e-3},
    "gru4rec": {"epochs": 10, "batch_size": 512, "learning_rate": 2e-3},
    "narm": {"epochs": 6, "batch_size": 512, "learning_rate": 2e-3},
    "sasrec": {"epochs": 10, "batch_size": 512, "learning_rate": 2e-3},
    "srgnn": {"epochs": 5, "batch_size": 512, "learning_rate": 2e-3},
    "sets2sets": {"epochs": 8, "batch_size": 8, "learning_rate": 1e-3},
    "dnntsp": {"epochs": 8, "batch_size": 64, "learning_rate": 1e-3},
}
"""So many epochs that the validation metric is near its best; early stopping is on."""
MODEL_SETTINGS: dict[str, dict[str, Any]] = {"sets2sets": {"item_weights": "none"}}


def shoppers(folder: Path) -> Data:
    """Ta-Feng for collaborative filtering: who bought what, order and baskets left out."""
    settings = {"task": "cf", "interactions": BASKETS["interactions"], "min_item_count": 20}
    settings["columns"] = {"user": "user_id", "item": "item_id", "time": "basket"}
    settings["min_sequence_length"] = 10
    return table("Ta-Feng, no baskets", settings, folder)


READERS: dict[str, Callable[[Path], Data]] = {
    "cf": shoppers,
    "session_based": sessions,
    "next_basket": baskets,
}


@dataclass(eq=False)
class Study:
    """A trained model on data, with all that requests need.

    Args:
        name: Of the model.
        data: What it was trained on.
        weights: Of the trained model.
        seconds: Processor seconds of the training.
        settings: How it was trained.
    """

    name: str
    data: Data
    weights: dict[str, Tensor]
    seconds: float
    settings: TrainingSettings

    @classmethod
    def of(cls, name: str, data: Data, cache: Path, epochs: int | None = None) -> "Study":
        """Train the model, or take its weights from the folder ``cache``."""
        kind = MODELS.get(name)
        chosen = TRAINING[name] | ({"epochs": epochs} if epochs else {})
        settings = kind.training.model_copy(update=chosen | {"patience": 3})
        stem = f"{name}-{settings.epochs}-{data.title}".replace(" ", "_").replace(",", "")
        path = cache / f"{stem}.safetensors"
        study = cls(name, data, {}, 0.0, settings)
        if not path.exists():
            model, started = study.fresh(), time.process_time()
            study.train(model, data.interactions)
            seconds = torch.tensor(time.process_time() - started)
            state = {key: value.contiguous() for key, value in model.state_dict().items()}
            cache.mkdir(parents=True, exist_ok=True)
            save_file(state | {"_seconds": seconds}, str(path))
        stored = load_file(str(path))
        study.seconds = float(stored.pop("_seconds"))
        study.weights = stored
        return study

    def fresh(self) -> Model:
        """A model of the right shape."""
        kind = MODELS.get(self.name)
        table = self.data.interactions
        settings = kind.Settings(**MODEL_SETTINGS.get(self.name, {}))
        return kind(settings, Shape(table.num_users, table.num_items))

    def train(self, model: Model, interactions: Interactions) -> None:
        """Train from scratch."""
        task, split = self.data.task, self.data.split
        train(model, task, interactions, split, self.settings, SEED, CPU)

    def base(self) -> Model:
        """A copy of the trained model."""
        model = self.fresh()
        model.load_state_dict(self.weights)
        if model.has_edges:
            model.set_edges(*training_edges(self.data.interactions, self.data.split, CPU))
        return model

    def world(self) -> World:
        """What all requests share."""
        data = self.data
        cut = Cut(self.fresh().max_history, CPU)
        examples = data.task.examples(data.interactions, data.split, cut)
        return World(
            task=data.task,
            interactions=data.interactions,
            split=data.split,
            cut=cut,
            examples=examples,
            num_items=data.interactions.num_items,
            train=self.train,
            training=self.settings,
            seed=SEED,
        )


def requests(data: Data, num: int, seed: int = SEED) -> list[RequestSpec]:
    """``num`` people in random order, each with a random part of the training rows."""
    draw = seeds.numpy_generator(seed, "requests")
    table = data.interactions
    is_train = data.split.select(table, Part.TRAIN)
    # the first row of a session, and the first baskets, have nothing before them to train on
    owners, counts = np.unique(table.user[is_train], return_counts=True)
    able = owners[counts >= 3]
    asked = draw.permutation(able)[:num]
    specs = []
    for number, user in enumerate(asked):
        own = table.of_users(np.array([user]))
        rows = own.row[data.split.marks[own.row] == Part.TRAIN]
        chosen = draw.permutation(rows[1:])[: max(1, round(SHARE * len(rows)))]
        specs.append(RequestSpec(number, np.array([user]), np.sort(chosen)))
    return specs


@dataclass(frozen=True)
class Served:
    """One request that was served.

    Args:
        outcome: What happened.
        step_norm: Euclidean norm of the change of the weights.
        seconds: Processor seconds, which depend little on what else the machine does.
    """

    outcome: Outcome
    step_norm: float
    seconds: float


def make(name: str, **settings: Any) -> Method:
    """A method with its defaults but for some settings."""
    kind = METHODS.get(name)
    return kind(kind.Settings(**settings))


def start(study: Study, method: Method, world: World) -> tuple[Model, dict[str, Tensor]]:
    """The model that the method serves, and the state of its chain."""
    model = study.base() if method.needs_base else method.build(study.fresh)
    return model, method.begin(model, world)


def serve(
    method: Method,
    model: Model,
    world: World,
    specs: list[RequestSpec],
    state: dict[str, Tensor],
) -> Iterator[Served]:
    """Serve requests one after the other."""
    users = np.concatenate([spec.users for spec in specs])
    rows = np.concatenate([spec.rows for spec in specs])
    ends = np.cumsum([len(spec.rows) for spec in specs])
    size = len(world.examples)
    for number, spec in enumerate(specs):
        started = time.process_time()
        request = Request(
            spec=spec,
            forgotten=rows[: ends[number] - len(spec.rows)],
            world=world,
            asked=torch.as_tensor(users[: number + 1]),
            training_size=size,
            seed=seeds.derive(SEED, "request", spec.id),
            state=state,
        )
        outcome, norm = attempt(method, model, request)
        if model.has_edges and method.needs_base:
            model.drop_edges(*request.edges)
        size += len(request.cleaned) - len(request.forget)
        yield Served(outcome, norm, time.process_time() - started)


def retained(data: Data, specs: list[RequestSpec], cut: Cut, most: int = 2000) -> Queries:
    """Test queries of people who never ask, at most ``most``."""
    table = data.interactions
    asking = np.unique(np.concatenate([spec.users for spec in specs]))
    left = table.without(table.row[np.isin(table.user, asking)])
    queries = data.task.queries(left, data.split, Part.TEST, cut)
    return _some(queries, most)


def recall(model: Model, queries: Queries, k: int = 20) -> float:
    """Recall@k over the queries."""
    answers = Answers(rank(model, queries, k), queries.relevant, np.zeros(0, bool))
    return measure(answers, [METRICS.get("recall")()], (k,))[0].value


def _some(queries: Queries, most: int) -> Queries:
    if len(queries) <= most:
        return queries
    chosen = np.sort(seeds.numpy_generator(SEED, "queries").permutation(len(queries))[:most])
    inputs = queries.inputs.take(torch.as_tensor(chosen))
    return replace(
        queries,
        inputs=inputs,
        relevant=queries.relevant.pick(chosen),
        masked=queries.masked.pick(chosen),
    )


__all__ = ["READERS", "Study", "films", "make", "recall", "requests", "retained", "serve", "start"]
