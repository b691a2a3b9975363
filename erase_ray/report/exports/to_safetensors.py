"""Weights as folders that any program can read, see :mod:`erase_ray.experiment.plain_weights`."""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from erase_ray.data.names import Names
from erase_ray.errors import EraseError, StoreError
from erase_ray.experiment.cell import NO_METHOD, Cell, Part
from erase_ray.experiment.plain_weights import read_facts, write_plain
from erase_ray.experiment.recompute import OTHER_VERSION
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.methods import METHODS, Method
from erase_ray.models import Shape
from erase_ray.report.exports._order import Order, cell_path
from erase_ray.report.exports._target import Exported
from erase_ray.report.read import CellInfo

NO_WEIGHTS = "without weights"


def write(order: Order) -> Exported:
    """One folder for the weights of each cell at each mark; what is there is left alone.

    Raises:
        StoreError: Weights or data are missing or damaged, or a folder holds other weights.
    """
    reader = _Reader(order.store)
    counts, skipped = Counter[str](), Counter[str]()
    for cell in order.cells:
        if reason := _why_skipped(cell):
            skipped[reason] += 1
            continue
        added = [_add(reader, order, cell, mark, sha) for mark, sha in order.chosen(cell).items()]
        if added:
            counts["new" if any(added) else "there"] += 1
    return Exported(counts["new"], counts["there"], 0, dict(skipped))


def _why_skipped(cell: CellInfo) -> str:
    if not cell.manifest["weights"]:
        return NO_WEIGHTS
    try:
        return "" if Cell(**cell.settings).key == cell.key else OTHER_VERSION
    except (EraseError, ValidationError):
        return OTHER_VERSION


def _add(reader: "_Reader", order: Order, cell: CellInfo, mark: int, sha: str) -> bool:
    """Write a folder; False if it is there."""
    folder = order.out / cell_path(cell) / f"mark-{mark}"
    if folder.exists():
        _check_same(folder, sha)
        return False
    known = Cell(**cell.settings)
    shape, vocabulary = reader.about(known)
    write_plain(
        folder,
        known.model.name,
        known.model.settings,
        shape,
        reader.store.get_weights(sha),
        _source(order, cell, mark, sha),
        vocabulary,
        _method(known),
    )
    return True


def _check_same(folder: Path, sha: str) -> None:
    if read_facts(folder).source.get("weights") != sha:
        raise StoreError(f"{folder} holds other weights; delete it, or name another folder")


def _source(order: Order, cell: CellInfo, mark: int, sha: str) -> dict[str, Any]:
    return {
        "store": order.store.uri,
        "cell": cell.key,
        "label": cell.label,
        "method": cell.method,
        "mark": mark,
        "weights": sha,
    }


def _method(cell: Cell) -> Part | None:
    """The method, if it serves something else than the model alone."""
    if cell.method.name in NO_METHOD:
        return None
    return cell.method if cell.method.kind(METHODS).build is not Method.build else None


class _Reader:
    """Sizes and outer ids of what cells were trained on, each read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[tuple[str, str], tuple[Shape, dict[str, Names]]] = {}

    def about(self, cell: Cell) -> tuple[Shape, dict[str, Names]]:
        """Sizes of the tables of the cell's model, with made-up people, and the outer ids."""
        key = (cell.data_key, f"{cell.base.scenario}")
        if key not in self._known:
            setting = Setting.load(cell, self.store, torch.device("cpu"))
            table, vocabulary = setting.interactions, setting.data.vocabulary
            ids = {"user": vocabulary.users, "item": vocabulary.items}
            self._known[key] = Shape(table.num_users, table.num_items), ids
        return self._known[key]
