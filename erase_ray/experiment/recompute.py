"""Compute the results of a stored cell again, from its stored answers, and compare."""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa
import torch
from pydantic import ValidationError

from erase_ray.errors import EraseError
from erase_ray.experiment.answers import Gauge, Judged, population_of
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.measure import identity_of, result_rows
from erase_ray.experiment.results import BASE, RESULTS
from erase_ray.experiment.setting import queries_hash
from erase_ray.experiment.store import Store
from erase_ray.experiment.tables import from_parquet, to_parquet
from erase_ray.metrics import METRICS
from erase_ray.scenarios import ChainView
from erase_ray.scenarios._base import NUM_MARKS
from erase_ray.scenarios._view import Moment
from erase_ray.tasks import Cut

OTHER_VERSION = "made by another version"


@dataclass(frozen=True)
class Difference:
    """A number (or word) in the results of a cell that comes out otherwise.

    Args:
        cell: Key of the cell.
        mark: Of the row, like what follows.
        metric: Name of the metric.
        k: Cut-off.
        column: What differs in the row; empty if the whole row is missing on one side.
        stored: What the store has; None for a missing row.
        recomputed: What it should have; None for a row that should not be there.
    """

    cell: str
    mark: int
    metric: str
    k: int
    column: str
    stored: Any
    recomputed: Any

    def __str__(self) -> str:
        where = f"{self.metric} at {self.k}, mark {self.mark}"
        if not self.column:
            return f"{where}: the row is {'too many' if self.recomputed is None else 'missing'}"
        return f"{where}: {self.column} is {self.stored!r}, recomputed {self.recomputed!r}"


@dataclass(frozen=True, eq=False)
class Questions:
    """What all cells with one chain of requests were asked, from the store alone.

    Args:
        view: What was asked.
        gauge: What answers are judged with.
        kinds: Kinds of queries that results are told of.
    """

    view: ChainView
    gauge: Gauge
    kinds: tuple[str, ...]
    _hashes: dict[Moment, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: Cell, store: Store) -> "Questions":
        """Those of the chain that ``cell`` serves.

        Raises:
            StoreError: The store lacks the data or the chain, or they are damaged.
        """
        data = store.get_data(cell.dataset.name, cell.data_key)
        chain = store.get_chain(cell.dataset.name, cell.data_key, cell.chain_key)
        view = cell.make_scenario().view(data, chain)
        return cls(
            view=view,
            gauge=Gauge(chain.items_at, population_of(view.grouped, view.split, chain)),
            kinds=("test", "probe") if chain.items.any() else ("test",),
        )

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.view.data.task

    def hashes(self, model: str, mark: int) -> dict[str, str]:
        """Hash of the queries by kind, as in the column ``test_hash``, at a moment."""
        view, moment = self.view, self.view.moment(model, mark)
        if moment not in self._hashes:
            # how far back a model looks plays no part in what it is asked
            cut = Cut(1, torch.device("cpu"))
            asked = {"test": view.test_queries(cut, moment)}
            asked["probe"] = view.probe_queries(cut, moment)
            self._hashes[moment] = {asks: queries_hash(one) for asks, one in asked.items()}
        return self._hashes[moment]

    def rows(self, cell: Cell, mark: int, judged: Judged) -> list[dict[str, Any]]:
        """The rows of results of a cell at a mark."""
        identity, hashes = identity_of(cell, self.task, mark), self.hashes(cell.subject, mark)
        found: list[dict[str, Any]] = []
        for asks in self.kinds:
            reported = self.view.reported(asks, judged.measured(mark, asks))
            found += result_rows(identity, hashes[asks], reported)
        return found


def why_skipped(settings: dict[str, Any], key: str) -> str:
    """Why there is nothing to compute again for a cell; empty if there is.

    Args:
        settings: The cell with all its settings.
        key: Of the cell.
    """
    kinds = [kind for kind in ("audit", "shadow") if settings.get(kind) is not None]
    if kinds:
        return kinds[0]
    if settings["method"]["name"] == BASE:
        return BASE
    try:
        is_known = Cell(**settings).key == key
    except (EraseError, ValidationError):  # parts or settings that are no more
        is_known = False
    return "" if is_known else OTHER_VERSION


def recompute(store: Store, key: str, questions: Questions | None = None) -> pd.DataFrame:
    """The results of a committed cell, from its stored answers, the data and the chain.

    Neither the model nor its weights are read.

    Args:
        store: Has the cell.
        key: Of a cell that measured something; see :func:`why_skipped`.
        questions: What the cell was asked; read from the store by default.

    Returns:
        Columns ``RESULTS``, in the order in which a cell writes them.

    Raises:
        StoreError: Something is missing or damaged.
    """
    cell = Cell(**store.settings(key))
    asked = questions or Questions.of(cell, store)
    judged = asked.gauge.stored(pa.BufferReader(store.cell_file(key, "ranked.parquet")))
    rows: list[dict[str, Any]] = []
    for mark in (cell.mark,) if cell.mark else range(1, NUM_MARKS + 1):
        rows += asked.rows(cell, mark, judged)
    return from_parquet(to_parquet("results", pd.DataFrame(rows, columns=list(RESULTS))))


def differences(key: str, stored: pd.DataFrame, recomputed: pd.DataFrame) -> list[Difference]:
    """Where two tables of results of a cell differ: floats in any bit, but NaN equals NaN.

    A metric of another package that the store knows nothing of is passed over: the package may
    have been installed since the cell was run.
    """
    tables = [stored, _without_new_metrics(recomputed, stored)]
    sides = [_by_row(table) for table in tables]
    found: list[Difference] = []
    for row in dict.fromkeys([*sides[1], *sides[0]]):
        one, other = (side.get(row) for side in sides)
        make = partial(Difference, key, *row)
        if one is None or other is None:
            values = [side["value"] if side else None for side in (one, other)]
            found.append(make("", *values))
            continue
        unequal = [name for name in RESULTS if not _same(one[name], other[name])]
        found += [make(name, one[name], other[name]) for name in unequal]
    numbers = [len(table) for table in tables]
    if numbers[0] != numbers[1] and not found:
        found.append(Difference(key, 0, "rows", 0, "n", *numbers))
    return found


def _without_new_metrics(recomputed: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    names, known = (
        table["metric"].astype(str).str.partition(".")[0] for table in (recomputed, stored)
    )
    return recomputed.loc[names.isin(METRICS.inside() | set(known))]


def _by_row(table: pd.DataFrame) -> dict[tuple[int, str, int], dict[str, Any]]:
    rows = table.to_dict("records")
    return {(row["mark"], row["metric"], row["k"]): row for row in rows}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex() or (math.isnan(one) and math.isnan(other))
    return one == other
