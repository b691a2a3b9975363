"""What each person was shown at the last mark, by a method and by what it is compared with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.data.csr import Csr
from erase_ray.errors import EraseError
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.results import ORIGINAL
from erase_ray.metrics import METRICS, Answers, Metric
from erase_ray.report.measured import LAST
from erase_ray.report.options import FORGETTING, UTILITY
from erase_ray.report.panels import RETRAIN, Panel, Series
from erase_ray.report.read import CellInfo
from erase_ray.scenarios import Chain

JUDGED = {"test": UTILITY, "probe": FORGETTING}
"""Metric and cut-off by what was asked."""
HASHES = {"test": "test_hash", "probe": "probe_hash"}
COLUMNS = ("seed", "user", "a", "b", "original")


@dataclass(frozen=True, eq=False)
class Pairs:
    """One query a row: the value of a method (``a``), the retrained (``b``) and original model.

    Args:
        values: Columns ``COLUMNS``; empty where there is nothing to compare.
        reason: Why it is empty, or lacks seeds.
    """

    values: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    reason: str = ""


@dataclass(frozen=True, eq=False)
class _Answered:
    users: np.ndarray
    values: np.ndarray


class People:
    """Reads the answers of cells, panel by panel; nothing but sums outlives a panel.

    Args:
        store: Holds the ``ranked`` tables and the chains of requests.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def pairs(self, panel: Panel) -> dict[str, dict[str, Pairs]]:
        """The pairs of each series but the references, by name and by what was asked."""
        seeds = {cell.settings["seed"] for cell in panel.cells}
        found = {seed: self._answers(panel, seed) for seed in sorted(seeds)}
        judged = [series for series in panel.series if series.method not in (ORIGINAL, RETRAIN)]
        return {
            series.name: {asks: _paired(series.name, asks, found) for asks in JUDGED}
            for series in judged
        }

    def _answers(self, panel: Panel, seed: int) -> dict[str, "_Told"]:
        """What the cells of a seed answered, by the name of the series."""
        cells = {
            series.name: cell
            for series in panel.series
            for cell in last_cells(series)
            if cell.settings["seed"] == seed
        }
        items_I, reason = self._items(cells.values())
        return {name: self._told(cell, items_I, reason) for name, cell in cells.items()}

    def _items(self, cells: Any) -> tuple[np.ndarray | None, str]:
        """The items whose exposure counts at the last mark, or why nobody knows them."""
        reason = "no cell is done"
        for cell in cells:
            try:
                chain = find_chain(self._store, cell)
            except (EraseError, ValueError, AttributeError) as error:
                reason = f"the chain of requests cannot be read: {str(error).splitlines()[0]}"
                continue
            items_I = chain.items_at(LAST)
            return (items_I, "") if items_I.any() else (None, "the scenario names no items")
        return None, reason

    def _told(self, cell: CellInfo, items_I: np.ndarray | None, reason: str) -> "_Told":
        try:
            ranked = self._store.table(cell.key, "ranked")
        except (EraseError, KeyError, ValueError) as error:
            return _Told({}, str(error), {})
        ranked = ranked[ranked["mark"] == LAST]
        answered = {}
        for asks in JUDGED:
            rows = ranked[ranked["asks"] == asks]
            if len(rows) and (asks == "test" or items_I is not None):
                answered[asks] = _judged(rows, asks, items_I)
        hashes = {asks: str(cell.facts.get(fact) or "") for asks, fact in HASHES.items()}
        return _Told(answered, reason, hashes)


@dataclass(frozen=True, eq=False)
class _Told:
    answered: dict[str, _Answered]
    reason: str
    hashes: dict[str, str]


def find_chain(store: Any, cell: CellInfo) -> Chain:
    """The chain of requests that a cell served.

    Its key is that of the present code; a store that was written by another version may have it
    under another one, and is then searched for the hash that the manifest of the cell names.

    Raises:
        StoreError: It is not in the store.
    """
    full = Cell(**cell.settings)
    data_key, wanted = cell.facts.get("data_key") or full.data_key, cell.facts.get("chain_hash")
    try:
        return store.get_chain(full.dataset.name, data_key, full.chain_key)
    except EraseError:
        for key in _chain_keys(store, full.dataset.name, data_key):
            if store.chain_manifest(full.dataset.name, data_key, key)["hash"] == wanted:
                return store.get_chain(full.dataset.name, data_key, key)
        raise


def _chain_keys(store: Any, dataset: str, data_key: str) -> list[str]:
    return store.chain_keys(dataset, data_key) if hasattr(store, "chain_keys") else []


def last_cells(series: Series) -> list[CellInfo]:
    """The finished cells that hold the last mark, one a seed."""
    return [c for c in series.cells if c.done and c.settings.get("mark") in (None, LAST)]


def answer_bytes(panels: Sequence[Panel]) -> int:
    """Size of the stored answers that :class:`People` would read."""
    cells = [cell for p in panels for series in p.series for cell in last_cells(series)]
    return sum(
        cell.manifest.get("files", {}).get("ranked.parquet", {}).get("size", 0) for cell in cells
    )


def _judged(rows: pd.DataFrame, asks: str, items_I: np.ndarray | None) -> _Answered:
    metric, k = JUDGED[asks]
    ranked_QK = np.stack(rows["items"].to_list()).astype(np.int32)
    relevant = _lists(rows["relevant"].tolist())
    if items_I is None:
        top = max(int(ranked_QK.max(initial=0)), int(relevant.values.max(initial=0)))
        items_I = np.zeros(top + 1, bool)
    answers = Answers(ranked_QK, relevant, items_I)
    judge = METRICS.get(metric)()
    assert isinstance(judge, Metric)
    values = judge.per_query(answers, k)
    return _Answered(rows["user"].to_numpy(), values)


def _lists(column: list[Any]) -> Csr:
    lists = [np.asarray(each, np.int32) for each in column]
    offsets = np.r_[0, np.cumsum([len(each) for each in lists])].astype(np.int64)
    return Csr(offsets, np.concatenate(lists) if lists else np.zeros(0, np.int32))


def _paired(name: str, asks: str, found: dict[int, dict[str, _Told]]) -> Pairs:
    frames, reasons = [], []
    for seed, told in found.items():
        frame, reason = _of_seed(name, asks, told)
        frames += [frame.assign(seed=seed)] if frame is not None else []
        reasons += [f"seed {seed}: {reason}"] if reason else []
    if not frames:
        return Pairs(reason="; ".join(dict.fromkeys(reasons)) or "no cell is done")
    stacked = pd.concat(frames, ignore_index=True).reindex(columns=list(COLUMNS))
    return Pairs(stacked, "; ".join(reasons))


def _of_seed(name: str, asks: str, told: dict[str, _Told]) -> tuple[pd.DataFrame | None, str]:
    """The pairs of one seed, or why there are none."""
    parts: dict[str, _Answered] = {}
    for column, who in (("a", name), ("b", RETRAIN), ("original", ORIGINAL)):
        model = told.get(who) or next(_like(told, who), None)
        if model is None or asks not in model.answered:
            if column == "original":  # only the closed gap needs it
                continue
            return None, model.reason if model and model.reason else f"{who} has no answers"
        parts[column] = model.answered[asks]
        if model.hashes.get(asks) != told[name].hashes.get(asks):
            return None, f"{who} was asked other questions"
    if any(not np.array_equal(part.users, parts["a"].users) for part in parts.values()):
        return None, "the models were asked about other people"
    frame = pd.DataFrame({column: part.values for column, part in parts.items()})
    return frame.assign(user=parts["a"].users).reindex(columns=list(COLUMNS)), ""


def _like(told: dict[str, _Told], method: str) -> Iterator[_Told]:
    """A reference whose series is numbered, such as ``retrain-2``."""
    return (model for name, model in told.items() if name.startswith(f"{method}-"))
