"""A finished cell as numbers on axes, parameters and tags, for any tracking tool."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from erase_ray.experiment.store import CellRecord, Store
from erase_ray.report.exports._order import readable_path
from erase_ray.report.read import CellInfo
from erase_ray.report.stored import Scalar, flattened, name_of

MARK, EPOCH, REQUEST = "mark", "epoch", "request"
"""Axes: marks of the chain (0 before it), epochs of a training, requests in order (from 1 on)."""
_HASHES = ("data_key", "split_hash", "chain_hash", "test_hash", "probe_hash")
_AHEAD = 8
"""Cells that are read before they are asked for."""


class Point(NamedTuple):
    """A number: ``results/recall_at_20`` at step 4 of the axis ``mark``."""

    name: str
    axis: str
    step: int
    value: float


@dataclass(frozen=True, eq=False)
class CellExport:
    """All of a cell that is exported.

    Args:
        key: Of the cell.
        label: A short name for people.
        created_s: When it was committed, in seconds since 1970.
        marks: Requests served at each mark; empty for base models.
        params: Settings by dotted name, such as ``model.embedding_size``.
        tags: Label, hashes, device, outcomes and versions.
        points: Numbers; results and costs first, then trainings, then requests.
        files: ``settings.yaml`` and ``results.parquet``, the bytes of the store.
    """

    key: str
    label: str
    created_s: float
    marks: tuple[int, ...]
    params: dict[str, Scalar]
    tags: dict[str, str]
    points: list[Point]
    files: dict[str, bytes]

    @property
    def path(self) -> str:
        """A relative folder that people can read, such as ``toy/bpr/scif/s2/0123456789ab``."""
        return readable_path(self.label, self.key)

    def served(self, point: Point) -> int:
        """The step of a point, with marks as the number of requests served by then."""
        if point.axis != MARK or not point.step or not self.marks:
            return point.step
        return self.marks[point.step - 1]

    def rows(self) -> Iterator[dict[str, float]]:
        """One row a step of each axis: the step by the name of the axis, then the values."""
        found: dict[tuple[str, int], dict[str, float]] = {}
        for point in self.points:
            row = found.setdefault((point.axis, point.step), {point.axis: point.step})
            row[point.name] = point.value
        yield from found.values()

    def last(self) -> dict[str, float]:
        """The last value of each result and cost."""
        return {point.name: point.value for point in self.points if point.axis == MARK}


def read_exports(store: Store, cells: Iterable[CellInfo]) -> Iterator[CellExport]:
    """Read cells one after the other, a few ahead, so that memory does not grow with the store.

    Raises:
        StoreError: A file of a cell is damaged.
    """
    todo = list(cells)
    with ThreadPoolExecutor(_AHEAD) as pool:
        for start in range(0, len(todo), _AHEAD):
            yield from pool.map(lambda cell: _read(store, cell), todo[start : start + _AHEAD])


def is_shadow(cell: CellInfo) -> bool:
    """Whether a cell only serves to calibrate an audit."""
    return bool(cell.settings.get("shadow"))


def _read(store: Store, cell: CellInfo) -> CellExport:
    results = store.table(cell.key, "results")
    points = _measured("results", results) + _measured("costs", store.table(cell.key, "costs"))
    points += _training(store.log(cell.key)) + _requests(store.table(cell.key, "requests"))
    files = CellRecord(cell.settings, results).files()
    return CellExport(
        key=cell.key,
        label=name_of(cell),
        created_s=datetime.fromisoformat(cell.manifest["created"]).timestamp(),
        marks=tuple(cell.facts.get("marks", ())),
        params=flattened(cell.settings),
        tags=_tags(cell),
        points=points,
        files={name: files[name] for name in ("settings.yaml", "results.parquet")},
    )


def _tags(cell: CellInfo) -> dict[str, str]:
    facts = cell.facts
    found = {"label": name_of(cell), "task": facts.get("task"), "device": facts.get("device")}
    found |= {name: facts.get(name) for name in _HASHES}
    found |= {f"outcome.{name}": count for name, count in facts.get("outcomes", {}).items()}
    found |= {f"version.{name}": text for name, text in cell.manifest["versions"].items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def _measured(table: str, frame: pd.DataFrame) -> list[Point]:
    columns = [frame[name].tolist() for name in ("metric", "k", "mark", "value")]
    return [
        Point(f"{table}/{metric}{f'_at_{k}' if k else ''}", MARK, int(mark), float(value))
        for metric, k, mark, value in zip(*columns, strict=True)
    ]


def _training(log: list[dict[str, Any]]) -> list[Point]:
    """Loss and value on the valid rows by epoch; a second training is ``training_2``."""
    points: list[Point] = []
    number, before = 0, -1
    for event in log:
        if event["event"] != EPOCH:
            continue
        number += not number or event["epoch"] <= before
        before = event["epoch"]
        group = "training" if number == 1 else f"training_{number}"
        for name, value in (("loss", event["loss"]), ("valid", event["value"])):
            if value is not None:
                points.append(Point(f"{group}/{name}", EPOCH, before, float(value)))
    return points


def _requests(frame: pd.DataFrame) -> list[Point]:
    """Norm of the step and seconds of each request; missing ones are left out."""
    seconds_R = (frame["seconds_data"] + frame["seconds_algorithm"]).to_numpy(float)
    series = {"step_norm": frame["step_norm"].to_numpy(float), "seconds": seconds_R}
    return [
        Point(f"requests/{name}", REQUEST, number + 1, float(values_R[number]))
        for number in range(len(frame))
        for name, values_R in series.items()
        if not np.isnan(values_R[number])
    ]
