"""Serve a chain of requests strictly in order, measuring at the marks."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from erase_ray import seeds
from erase_ray.experiment.results import REQUESTS
from erase_ray.experiment.setting import Setting
from erase_ray.methods import Deadline, Method, Outcome, Request
from erase_ray.methods._request import World
from erase_ray.models import Model
from erase_ray.scenarios import RequestSpec


@dataclass(eq=False)
class ChainRunner:
    """Serves requests on one model and keeps the record of each.

    Args:
        setting: What the cell works on.
        model: Edited in place.
        method: Serves the requests.
        world: What all requests share.
        limit_s: Seconds one request may take.
    """

    setting: Setting
    model: Model
    method: Method
    world: World
    limit_s: float = math.inf
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.training_size = len(self.world.examples)

    def serve(self, specs: tuple[RequestSpec, ...], at_mark: Callable[[int], None]) -> None:
        """Serve ``specs`` in order; ``at_mark`` is called with 1 to 4 when a mark is reached.

        A mark is reached by the number of requests served, whatever became of them.
        """
        marks = self.setting.chain.marks
        forgotten = np.zeros(0, np.int64)
        users = np.concatenate([spec.users for spec in specs])
        ends = np.cumsum([len(spec.users) for spec in specs])
        for position, spec in enumerate(specs):
            record = self._serve_one(spec, forgotten, users[: ends[position]])
            record["mark"] = next(k for k, served in enumerate(marks, 1) if position < served)
            self.records.append(record)
            forgotten = np.concatenate([forgotten, spec.rows])
            started = time.perf_counter()
            for mark in [k for k, served in enumerate(marks, 1) if served == position + 1]:
                at_mark(mark)
            record["seconds_save"] = time.perf_counter() - started

    def serve_merged(self, spec: RequestSpec, mark: int) -> None:
        """Serve all requests up to ``mark`` as the one request ``spec``."""
        record = self._serve_one(spec, np.zeros(0, np.int64), spec.users)
        self.records.append(record | {"mark": mark})

    def frame(self) -> pd.DataFrame:
        """One row a request, in the order in which they were served."""
        return pd.DataFrame(self.records, columns=list(REQUESTS))

    def _serve_one(
        self, spec: RequestSpec, forgotten: np.ndarray, asked: np.ndarray
    ) -> dict[str, Any]:
        started = time.perf_counter()
        request = self._request(spec, forgotten, asked)
        num_forget, num_cleaned = len(request.forget), len(request.cleaned)
        ready = time.perf_counter()
        outcome, step_norm = attempt(self.method, self.model, request)
        if self.model.has_edges and self.method.needs_base:
            self.model.drop_edges(*request.edges)
        done = time.perf_counter()
        self.training_size += num_cleaned - num_forget
        return {
            "request": spec.id,
            "user": spec.user,
            "num_rows": len(spec.rows),
            "status": outcome.status,
            "reason": outcome.reason,
            "num_forget": num_forget,
            "num_cleaned": num_cleaned,
            "num_gradients": outcome.num_gradients,
            "num_hvps": outcome.num_hvps,
            "step_norm": step_norm,
            "seconds_data": ready - started,
            "seconds_algorithm": done - ready,
            "seconds_save": 0.0,
            "details": json.dumps(_details(spec, outcome), sort_keys=True),
        }

    def _request(self, spec: RequestSpec, forgotten: np.ndarray, asked: np.ndarray) -> Request:
        return Request(
            spec=spec,
            forgotten=forgotten,
            world=self.world,
            asked=torch.as_tensor(asked.astype(np.int64), device=self.setting.device),
            training_size=self.training_size,
            seed=seeds.derive(self.setting.cell.seed, "request", spec.id),
            deadline=Deadline(self.limit_s),
        )


def _details(spec: RequestSpec, outcome: Outcome) -> dict[str, float]:
    merged = {"num_wishes": float(spec.num_wishes)} if spec.num_wishes > 1 else {}
    return outcome.details | merged


def attempt(method: Method, model: Model, request: Request) -> tuple[Outcome, float]:
    """Let ``method`` serve ``request``; undo everything unless it was applied and is finite.

    Returns:
        The outcome, and the Euclidean norm of the change of the weights.
    """
    changes = method.changes(model)
    before = {name: weight.detach().clone() for name, weight in changes.items()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with _only_trainable(model, changes):
        outcome = method.forget(model, request)
    _synchronise(request.device)
    if outcome.status == "applied" and not _finite(changes):
        outcome = replace(outcome, status="non_finite", reason="the step made weights not finite")
    if outcome.status != "applied":
        _restore(changes | dict(model.named_buffers()), before | buffers)
        return outcome, 0.0
    return outcome, _distance(changes, before)


@contextmanager
def _only_trainable(model: Model, changes: dict[str, nn.Parameter]) -> Iterator[None]:
    """Freeze every parameter that the method may not change."""
    state = {name: weight.requires_grad for name, weight in model.named_parameters()}
    try:
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in changes)
        yield
    finally:
        for name, weight in model.named_parameters():
            weight.requires_grad_(state[name])
            weight.grad = None


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _finite(weights: dict[str, nn.Parameter]) -> bool:
    return all(bool(torch.isfinite(weight).all()) for weight in weights.values())


@torch.no_grad()
def _restore(weights: Mapping[str, Tensor], before: dict[str, Tensor]) -> None:
    for name, weight in weights.items():
        weight.copy_(before[name])


@torch.no_grad()
def _distance(weights: dict[str, nn.Parameter], before: dict[str, Tensor]) -> float:
    squares = [(weight - before[name]).double().square().sum() for name, weight in weights.items()]
    return math.sqrt(sum(float(square) for square in squares))
