"""Run finished cells once more, with all that they need, and compare every number."""

import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from fsspec.core import url_to_fs
from pydantic import ValidationError

from erase_ray.datasets import DATASETS
from erase_ray.datasets._raw_cache import RawCache
from erase_ray.errors import EraseError, FetchError, StoreError
from erase_ray.experiment.cell import Cell, Part
from erase_ray.experiment.plan import Node, build
from erase_ray.experiment.preparing import Places, find_raw, read_and_prepare
from erase_ray.experiment.recompute import OTHER_VERSION, Difference, differences
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.store import Store

logger = logging.getLogger(__name__)

TOLERANCE = 0.05
"""Share of the larger of two numbers by which they may differ between devices or versions."""
EQUAL, CLOSE, DIFFERS, NOT_RUN = "equal", "close", "differs", "not run"
RAW, PREPARED = "raw", "prepared"
RUN, MARKER = "verify-rerun", "of.json"
"""Where a scratch store says that it is one."""


@dataclass(frozen=True)
class Rerun:
    """What came of running a cell once more.

    Args:
        key: Of the cell.
        label: For people.
        status: ``equal`` bit by bit; ``close``, within the tolerance, on another device or with
            other versions; ``differs``; ``not run``.
        reason: Why it was not run.
        differences: Numbers that are not equal, or not close where that is asked.
        around: Device and versions that are others now: name, there, here.
        tolerance: What the numbers were compared with.
        num_rows: Rows of results.
        seconds: That it took, with what it needed.
        data: How the data were got: ``raw`` files, or as ``prepared`` by the store itself.
    """

    key: str
    label: str
    status: Literal["equal", "close", "differs", "not run"]
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    around: tuple[tuple[str, str, str], ...] = ()
    tolerance: float = 0.0
    num_rows: int = 0
    seconds: float = 0.0
    data: str = ""


@dataclass(eq=False)
class Rerunner:
    """Runs cells of a store once more, in this process and without Ray.

    Seconds are not compared, and nothing but settings, results, versions and device is taken from
    the store; if raw files are not to be found, also its prepared data, and the outcome says so.

    Args:
        origin: Has the cells.
        scratch: An empty store, or one that an earlier check has left, which is gone on with.
        tolerance: Share of the larger of two numbers that is no difference; by default 0 on the
            same kind of device with the same versions, and ``TOLERANCE`` else.

    Raises:
        StoreError: ``scratch`` is the store itself, or holds cells that no check has run.
    """

    origin: Store
    scratch: Store
    tolerance: float | None = None
    _failed: dict[str, str] = field(default_factory=dict)
    _data: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.origin.uri == self.scratch.uri:
            raise StoreError(f"{self.scratch.uri} is what is checked; name another folder")
        if self.scratch.get_run(RUN, MARKER) is None:
            if self.scratch.done_cells():
                raise StoreError(
                    f"{self.scratch.uri} has cells that no check has run; name an empty folder"
                )
            self.scratch.put_run(RUN, MARKER, "{}\n")

    def run(self, keys: Iterable[str]) -> Iterator[Rerun]:
        """Run cells one after the other, and tell of each when it is done."""
        for key in keys:
            yield self._again(key)

    def _again(self, key: str) -> Rerun:
        started = time.perf_counter()
        label = key[:12]
        try:
            manifest = self.origin.manifest(key)
            label = str(manifest["facts"].get("label") or label)
            cell = _known_cell(self.origin.settings(key), key)
            device = _device(str(manifest["facts"].get("device", "")))
            self._run_all(cell, device)
            return self._compared(cell, label, time.perf_counter() - started)
        except EraseError as error:
            return Rerun(key, label, NOT_RUN, " ".join(str(error).split()))

    def _run_all(self, cell: Cell, device: torch.device) -> None:
        """Run a cell and what it needs, parents first; what failed before fails again at once."""
        for node in build([cell], self.scratch).pending():
            if node.key not in self._failed and (error := self._attempt(node, device)):
                self._failed[node.key] = error
            if error := self._failed.get(node.key, ""):
                raise StoreError(error if node.key == cell.key else f"{node.label}: {error}")

    def _attempt(self, node: Node, device: torch.device) -> str:
        """Run a node; why it failed, or nothing."""
        try:
            if node.payload["kind"] == "data":
                self._prepare(Part(**node.payload["dataset"]), node.key)
            else:
                run_cell(Cell(**node.payload["cell"]), self.scratch, device)
        except Exception as error:
            logger.info("%s failed", node.label, exc_info=True)
            text = " ".join(str(error).split())
            return text if isinstance(error, EraseError) else f"{type(error).__name__}: {text}"
        return ""

    def _prepare(self, dataset: Part, key: str) -> None:
        places = Places.of_jobs(self.scratch)
        if _has_raw(dataset, self.origin):
            places = replace(places, cache=self.origin.child("data"))
        try:
            raw = find_raw(dataset, places)
        except FetchError:
            if not self.origin.has_data(dataset.name, key):
                raise
            data = self.origin.get_data(dataset.name, key)
            self._data[key] = PREPARED
        else:
            data = read_and_prepare(dataset, raw, places.scratch)
        self.scratch.put_data(data, key)

    def _compared(self, cell: Cell, label: str, seconds: float) -> Rerun:
        key = cell.key
        stored, again = (s.table(key, "results") for s in (self.origin, self.scratch))
        around = tuple(_around(self.origin.manifest(key), self.scratch.manifest(key)))
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = TOLERANCE if around else 0.0
        unequal = differences(key, stored, again)
        far = tuple(one for one in unequal if not _is_close(one, tolerance))
        if far and cell.limit_s is not None:
            reason = f"a limit of {cell.limit_s:g} s a request can make it another one every time"
            return Rerun(key, label, NOT_RUN, reason)
        return Rerun(
            key=key,
            label=label,
            status=DIFFERS if far else CLOSE if unequal else EQUAL,
            differences=far,
            around=around,
            tolerance=tolerance,
            num_rows=len(stored),
            seconds=seconds,
            data=self._data.get(cell.data_key, RAW),
        )


def _has_raw(dataset: Part, origin: Store) -> bool:
    """Whether the store keeps raw files of a dataset, so that nothing is fetched into it."""
    address, kind = origin.child("data"), dataset.kind(DATASETS)
    fs, root = url_to_fs(address)
    if not fs.exists(f"{root}/raw"):
        return False
    return not kind.sources or any(RawCache(address).get(source) for source in kind.sources)


def _known_cell(settings: dict[str, Any], key: str) -> Cell:
    """The cell with these settings, if this version gives it the same key.

    Raises:
        StoreError: It does not, or a setting is no more.
    """
    try:
        cell = Cell(**settings)
        is_same = cell.key == key
    except (EraseError, ValidationError, TypeError) as error:
        raise StoreError(f"{OTHER_VERSION}, or not the settings of its key: {error}") from error
    if not is_same:
        raise StoreError(f"{OTHER_VERSION}, or not the settings of its key")
    return cell


def _device(kind: str) -> torch.device:
    """The kind of device that a cell ran on, if there is one here."""
    has_gpu = torch.cuda.is_available()
    return torch.device("cuda" if has_gpu and kind != "cpu" else "cpu")


def _around(there: dict[str, Any], here: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    sides = [{"device": m["facts"].get("device")} | m["versions"] for m in (there, here)]
    for name in sorted({*sides[0], *sides[1]}):
        one, other = (str(side.get(name, "")) for side in sides)
        if one != other:
            yield name, one, other


def _is_close(one: Difference, tolerance: float) -> bool:
    a, b = one.stored, one.recomputed
    if one.column != "value" or not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a - b) <= tolerance * max(abs(a), abs(b))
