"""Serve a chain of requests strictly in order, measuring at the marks."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from erase_ray import pulse, seeds
from erase_ray.data.interactions import Interactions
from erase_ray.experiment import live
from erase_ray.experiment.results import REQUESTS
from erase_ray.experiment.setting import Setting
from erase_ray.methods import Deadline, Method, Outcome, Request
from erase_ray.methods._request import World
from erase_ray.methods._undo import Undo
from erase_ray.models import Model
from erase_ray.scenarios import RequestSpec
from erase_ray.training import training_edges


@dataclass(eq=False)
class ChainRunner:
    """Serves requests on one model and keeps the record of each.

    Args:
        setting: What the cell works on.
        model: Edited in place.
        method: Serves the requests.
        world: What all requests share.
        limit_s: Seconds one request may take.
        records: One a request served.
        state: What the method remembers from request to request.
        position: Requests served.
    """

    setting: Setting
    model: Model
    method: Method
    world: World
    limit_s: float = math.inf
    records: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    position: int = 0

    def __post_init__(self) -> None:
        self.training_size = len(self.world.examples)
        # makes the index of the table by user, which is no part of the first request
        self.world.interactions.of_users(np.zeros(0, np.int64))

    def begin(self) -> float:
        """Let the method do what comes before the first request; the seconds it took."""
        started = self._clock()
        self.state = self.method.begin(self.model, self.world)
        return self._clock() - started

    def go_on(
        self,
        position: int,
        records: list[dict[str, Any]],
        training_size: int,
        state: dict[str, Tensor],
    ) -> None:
        """Be where another runner was after ``position`` requests; the weights are there already.

        Args:
            position: Requests that were served; their edges are dropped here.
            records: Of these.
            training_size: N after them.
            state: What the method remembered.
        """
        self.position, self.records = position, records
        self.training_size, self.state = training_size, state
        if self._drops_edges:
            # a built model may keep whose edges go where among its weights
            self.model.set_edges(*self._edges(self.world.interactions))
            served = self.world.interactions.only(self.setting.chain.rows(position))
            self.model.drop_edges(*self._edges(served))

    def serve(
        self,
        specs: tuple[RequestSpec, ...],
        at_mark: Callable[[int], None],
        after: Callable[[bool], None] = lambda is_mark: None,
    ) -> None:
        """Serve those of ``specs`` that are not served yet, in order.

        A mark is reached by the number of requests served, whatever became of them.

        Args:
            specs: The chain.
            at_mark: Called with 1 to 4 when a mark is reached.
            after: Called after each request, with True if a mark was reached.
        """
        marks = self.setting.chain.marks
        rows, row_ends = _joined([spec.rows for spec in specs])
        users, user_ends = _joined([spec.users for spec in specs])
        asked = torch.as_tensor(users, device=self.setting.device)
        for spec in specs[self.position :]:
            # views of the whole, so a request costs the same wherever in the chain it stands
            before, who = rows[: row_ends[self.position]], asked[: user_ends[self.position + 1]]
            record = self._serve_one(spec, before, who)
            self.position += 1
            record["mark"] = next(k for k, end in enumerate(marks, 1) if self.position <= end)
            self.records.append(record)
            live.tell({"event": "request"} | record)
            pulse.beat()
            reached = [k for k, end in enumerate(marks, 1) if self.position == end]
            started = self._clock()
            for mark in reached:
                at_mark(mark)
            record["seconds_save"] = self._clock() - started
            after(bool(reached))
            record["seconds_save"] = self._clock() - started

    def serve_merged(self, spec: RequestSpec, mark: int) -> None:
        """Serve all requests up to ``mark`` as the one request ``spec``."""
        asked = torch.as_tensor(spec.users.astype(np.int64), device=self.setting.device)
        record = self._serve_one(spec, np.zeros(0, np.int64), asked)
        self.records.append(record | {"mark": mark})

    def frame(self) -> pd.DataFrame:
        """One row a request, in the order in which they were served."""
        return pd.DataFrame(self.records, columns=list(REQUESTS))

    def _serve_one(self, spec: RequestSpec, forgotten: np.ndarray, asked: Tensor) -> dict[str, Any]:
        started = self._clock()
        request = self._request(spec, forgotten, asked)
        num_forget, num_cleaned = len(request.forget), len(request.cleaned)
        ready = self._clock()
        remembered = [(name, tensor, tensor._version) for name, tensor in self.state.items()]
        outcome, step_norm = attempt(self.method, self.model, request)
        self.state = request.state
        if outcome.status != "applied":
            edited = [name for name, tensor, version in remembered if tensor._version != version]
            assert not edited, f"method '{self.method.name}' edited {edited} of its state in place"
        if self._drops_edges:
            self.model.drop_edges(*request.edges)
        done = self._clock()
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

    def _request(self, spec: RequestSpec, forgotten: np.ndarray, asked: Tensor) -> Request:
        return Request(
            spec=spec,
            forgotten=forgotten,
            world=self.world,
            asked=asked,
            training_size=self.training_size,
            seed=seeds.derive(self.setting.cell.draws, "request", spec.id),
            deadline=Deadline(self.limit_s),
            state=self.state,
        )

    @property
    def _drops_edges(self) -> bool:
        has_own = self.model.has_edges and not self.method.per_mark
        return has_own and not (self.setting.leaks_edges and self.method.needs_base)

    def _edges(self, table: Interactions) -> tuple[Tensor, Tensor]:
        return training_edges(table, self.world.split, self.setting.device)

    def _clock(self) -> float:
        """Seconds, once all that was asked of the device is done."""
        _synchronise(self.setting.device)
        return time.perf_counter()


def _joined(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All parts one after the other, and where the first 0, 1, 2 ... of them end."""
    ends = np.cumsum([0, *map(len, parts)])
    return np.concatenate(parts).astype(np.int64), ends


def _details(spec: RequestSpec, outcome: Outcome) -> dict[str, float]:
    merged = {"num_wishes": float(spec.num_wishes)} if spec.num_wishes > 1 else {}
    return outcome.details | merged


def attempt(method: Method, model: Model, request: Request) -> tuple[Outcome, float]:
    """Let ``method`` serve ``request``; undo everything unless it was applied and is finite.

    Returns:
        The outcome, and the Euclidean norm of the change of the weights.
    """
    changes = method.changes(model)
    undo, state = request.undo, dict(request.state)
    buffers = Undo()
    if not method.keeps_track:
        for weight in changes.values():
            undo.keep(weight)
        for buffer in model.buffers():
            buffers.keep(buffer)
    with _only_trainable(model, changes):
        outcome = method.forget(model, request)
    _synchronise(request.device)
    if outcome.status == "applied" and not undo.finite():
        outcome = replace(outcome, status="non_finite", reason="the step made weights not finite")
    if outcome.status != "applied":
        undo.restore()
        buffers.restore()
        request.state.clear()
        request.state.update(state)
        return outcome, 0.0
    return outcome, undo.distance()


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
