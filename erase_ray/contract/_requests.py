"""A method in front of one request on planted data, and what came of it."""

import functools
import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from erase_ray.contract._candidate import Candidate
from erase_ray.contract.planted import (
    BRIEF,
    CPU,
    SEED,
    examples_of,
    make_model,
    planted,
    sensitive_rows,
    shuffle_generators,
    state_of,
    trained,
)
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.experiment.chain import attempt
from erase_ray.methods import Deadline, Method, Outcome, Request
from erase_ray.methods._request import World
from erase_ray.models import MODELS, Model
from erase_ray.scenarios import RequestSpec
from erase_ray.tasks import TASKS, Cut, Examples
from erase_ray.training import train

ONE_EPOCH = BRIEF.model_copy(update={"epochs": 1})


@dataclass(eq=False)
class Scene:
    """A model that has learned its data, and a method that is to serve requests on it.

    Args:
        method: Made from the candidate's settings.
        model: In the hands of the method.
        data: What the model was trained on.
        world: What all requests share.
        state: What the method remembers.
    """

    method: Method
    model: Model
    data: Prepared
    world: World
    state: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, candidate: Candidate, model_name: str) -> "Scene":
        """A method before its first request."""
        method: Method = candidate.make()
        data = planted(MODELS.get(model_name).task)
        if method.needs_base or method.per_mark:
            model, _ = trained(model_name)
            return cls(method, model, data, world_of(model, data))
        model = method.build(lambda: make_model(model_name, data))
        world = replace(world_of(model, data), training=ONE_EPOCH)
        return cls(method, model, data, world, method.begin(model, world))

    def request(
        self,
        rows: np.ndarray,
        forgotten: np.ndarray | None = None,
        deadline: Deadline | None = None,
    ) -> Request:
        """One person's request.

        Args:
            rows: All of one person.
            forgotten: Rows of earlier requests.
            deadline: None for no limit.
        """
        table = self.data.interactions
        gone = np.zeros(0, np.int64) if forgotten is None else forgotten
        asked = np.unique(table.user[np.concatenate([rows, gone])])
        return Request(
            spec=RequestSpec(0, np.unique(table.user[rows]).astype(np.int64), rows),
            forgotten=gone,
            world=self.world,
            asked=torch.as_tensor(asked.astype(np.int64)),
            training_size=len(self.world.examples),
            seed=7,
            deadline=deadline or Deadline(),
            state=dict(self.state),
        )


@dataclass(frozen=True, eq=False)
class Served:
    """What became of the first request.

    Args:
        scene: As it is afterwards.
        request: The request.
        outcome: What the method said.
        step_norm: How far it says that the weights moved.
        before: All weights and buffers before.
        after: The same afterwards.
        allowed: Names of the parameters that it may change.
        edited: What was edited in place that must not be.
    """

    scene: Scene
    request: Request
    outcome: Outcome
    step_norm: float
    before: dict[str, Tensor]
    after: dict[str, Tensor]
    allowed: set[str]
    edited: list[str]


def served(candidate: Candidate, model_name: str) -> Served:
    """The first request, by the person with the most to forget; remembered."""
    return _served(candidate.name, json.dumps(candidate.settings), model_name)


@functools.lru_cache(64)
def _served(name: str, settings: str, model_name: str) -> Served:
    return serve(Candidate("method", name, json.loads(settings)), model_name, shuffled=1)


def serve(candidate: Candidate, model_name: str, shuffled: int) -> Served:
    """The first request, with the global generators in some state."""
    shuffle_generators(shuffled)
    scene = Scene.of(candidate, model_name)
    request = scene.request(sensitive_rows(scene.data))
    return serve_in(scene, request)


def serve_in(scene: Scene, request: Request) -> Served:
    """Let the method serve a request; the scene has what it remembers afterwards."""
    before = state_of(scene.model)
    allowed = set(scene.method.changes(scene.model))
    guarded = _tensors(request) | {f"state '{n}'": t for n, t in request.state.items()}
    versions = {name: tensor._version for name, tensor in guarded.items()}
    columns = {n: column.copy() for n, column in scene.data.interactions.columns()}
    outcome, step_norm = attempt(scene.method, scene.model, request)
    edited = [name for name, tensor in guarded.items() if tensor._version != versions[name]]
    for name, column in scene.data.interactions.columns():
        if not np.array_equal(column, columns[name]):
            edited.append(f"interactions.{name}")
    scene.state = request.state
    after = state_of(scene.model)
    return Served(scene, request, outcome, step_norm, before, after, allowed, edited)


def mean_loss(model: Model, examples: Examples) -> float:
    """Mean loss in evaluation mode, over 32 draws of negatives where the examples draw any."""
    model.eval()
    draws = 32 if examples.draws_negatives else 1
    everyone = torch.arange(len(examples))
    with torch.no_grad():
        losses = [model.loss(examples.batch(everyone, 99 + d)).mean() for d in range(draws)]
    return float(torch.stack(losses).mean())


def world_of(model: Model, data: Prepared) -> World:
    """What requests on planted data share; training anew takes one epoch."""
    task = TASKS.get(data.task)()

    def retrain(fresh: Model, left: Interactions) -> None:
        settings = type(fresh).training.model_copy(update={"epochs": 1, "batch_size": 64})
        train(fresh, task, left, data.split, settings, SEED, CPU)

    return World(
        task=task,
        interactions=data.interactions,
        split=data.split,
        cut=Cut(model.max_history, CPU),
        examples=examples_of(model, data),
        num_items=data.interactions.num_items,
        train=retrain,
    )


def _tensors(request: Request) -> dict[str, Any]:
    """The tensors of the training examples, by name."""
    fields = vars(request.world.examples)
    return {f"examples.{n}": v for n, v in fields.items() if isinstance(v, Tensor)}
