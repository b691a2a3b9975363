"""What a snapshot of a chain holds, when one is taken, and how a chain goes on from it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from erase_ray.experiment._commit import to_json_lines
from erase_ray.experiment._deltas import difference, patched
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.journal import Journal, Snapshot
from erase_ray.experiment.measure import Measurements
from erase_ray.experiment.pace import Pace, Rhythm
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.tables import from_parquet, to_parquet
from erase_ray.experiment.weights import separate

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Course:
    """What a cell has done and made so far, while its chain is served.

    Args:
        runner: Serves the requests.
        measurements: What was measured at the marks.
        weights: Name of the stored weights by mark.
        log: Events in order.
        seconds_begin: What came before the first request.
    """

    runner: ChainRunner
    measurements: Measurements
    weights: dict[str, str] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    seconds_begin: float = 0.0

    def begin(self) -> None:
        """Let the method do what it does before the first request."""
        self.seconds_begin = self.runner.begin()


class ChainJournal:
    """Takes snapshots of a course, and brings a new one to where the last snapshot was.

    Args:
        journal: Where they are kept.
        course: What is kept; its model is the base model, or one that was just built.
        origin: Gives the weights of the base model by name, of which only the differences are
            kept; none if there is no base model. Called at the first snapshot.
        pace: How often.
    """

    def __init__(
        self,
        journal: Journal,
        course: Course,
        origin: Callable[[], dict[str, Tensor]],
        pace: Pace,
    ) -> None:
        self._journal, self._course, self._rhythm = journal, course, Rhythm(pace)
        self._origin = cache(origin)
        self._ranked: list[Tensor] = []

    def resume(self) -> bool:
        """Go on from the newest snapshot; False if there is none, and nothing was changed."""
        snapshot = self._journal.load()
        if snapshot is None:
            return False
        runner = self._course.runner
        self._restore(snapshot)
        self._rhythm.restart()
        label, total = runner.setting.cell.label, len(runner.setting.chain)
        logger.info("%s goes on after request %d of %d", label, snapshot.position, total)
        return True

    def after(self, is_mark: bool = True) -> None:
        """Take a snapshot if it is time to.

        Args:
            is_mark: Whether a mark was just measured, or the work before the first request done.
        """
        runner = self._course.runner
        is_over = runner.position == len(runner.setting.chain)
        if is_over or not self._rhythm.is_due(is_mark):
            return
        with self._rhythm.beat():
            self._journal.save(self._snapshot())

    def _snapshot(self) -> Snapshot:
        course, runner = self._course, self._course.runner
        same, parts = difference(separate(runner.model.state_dict()), self._origin())
        for frame in course.measurements.ranked[len(self._ranked) :]:
            self._ranked.append(_bytes(to_parquet("ranked", frame)))
        results = pd.DataFrame(course.measurements.results, columns=list(RESULTS))
        tensors = {
            "results": _bytes(to_parquet("results", results)),
            "requests": _bytes(to_parquet("requests", runner.frame())),
            "log": _bytes(to_json_lines(course.log)),
        }
        tensors |= {f"ranked/{number:04d}": data for number, data in enumerate(self._ranked)}
        tensors |= {f"model/{name}": tensor for name, tensor in parts.items()}
        tensors |= {f"state/{name}": tensor for name, tensor in runner.state.items()}
        facts = {
            "same": same,
            "training_size": runner.training_size,
            "weights": course.weights,
            "seconds_begin": course.seconds_begin,
            "state": list(runner.state),
            "on_cpu": [name for name, tensor in runner.state.items() if tensor.is_cpu],
        }
        return Snapshot(runner.position, facts, tensors)

    def _restore(self, snapshot: Snapshot) -> None:
        course, facts = self._course, snapshot.facts
        tables = {name: _text(snapshot.tensors[name]) for name in ("results", "requests", "log")}
        self._ranked = [tensor.clone() for tensor in _part(snapshot, "ranked").values()]
        course.measurements.results[:] = _rows(from_parquet(tables["results"]))
        course.measurements.ranked[:] = [from_parquet(_text(data)) for data in self._ranked]
        course.log[:] = [json.loads(line) for line in tables["log"].splitlines()]
        course.weights |= facts["weights"]
        course.seconds_begin = facts["seconds_begin"]
        model = course.runner.model
        # patching would write into what the differences are taken of
        same = {name: tensor.clone() for name, tensor in self._origin().items()}
        model.load_state_dict(patched(same, facts["same"], _part(snapshot, "model")))
        course.runner.go_on(
            position=snapshot.position,
            records=_rows(from_parquet(tables["requests"])),
            training_size=facts["training_size"],
            state=self._state(snapshot),
        )

    def _state(self, snapshot: Snapshot) -> dict[str, Tensor]:
        """What the method remembered, each tensor where it was and in the same order."""
        device = self._course.runner.setting.device
        found, on_cpu = _part(snapshot, "state"), snapshot.facts["on_cpu"]
        return {
            name: found[name].clone() if name in on_cpu else found[name].to(device, copy=True)
            for name in snapshot.facts["state"]
        }


def _part(snapshot: Snapshot, kind: str) -> dict[str, Tensor]:
    start = f"{kind}/"
    return {n[len(start) :]: t for n, t in snapshot.tensors.items() if n.startswith(start)}


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0).byte()


def _text(tensor: Tensor) -> bytes:
    return tensor.numpy().tobytes()
