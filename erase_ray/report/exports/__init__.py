"""Finished cells for other tools, from the store alone.

Weights, ranked lists and whole sets of results become folders of files that others read:
``safetensors``, ``trec`` and ``huggingface``. Every tool that tracks experiments gets one run a
cell, with the same names: ``results/<metric>_at_<k>``, ``costs/<metric>``, ``training/loss`` and
``training/valid``, ``requests/step_norm`` and ``requests/seconds``. Exporting again adds what is
new and repeats nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from erase_ray.errors import SettingsError
from erase_ray.experiment.store import Store
from erase_ray.report.exports import (
    to_huggingface,
    to_mlflow,
    to_safetensors,
    to_tensorboard,
    to_trec,
    to_wandb,
)
from erase_ray.report.exports._order import Order
from erase_ray.report.exports._read import CellExport, is_shadow, read_exports
from erase_ray.report.exports._target import Exported, Target
from erase_ray.report.stored import asked_marks, stored_cells

TARGETS: dict[str, Callable[[str, str], Target]] = {
    "tensorboard": to_tensorboard.Folder,
    "mlflow": to_mlflow.Server,
    "wandb": to_wandb.Folder,
}
"""What makes a target of an address and the name of the grid, by the name of the tool."""

FOLDERS: dict[str, Callable[[Order], Exported]] = {
    "safetensors": to_safetensors.write,
    "huggingface": to_huggingface.write,
    "trec": to_trec.write,
}
"""What writes cells into a folder of files, by the name of the form."""

NO_LICENCE = "unknown"


def export(
    store: Store,
    tool: str,
    out: str,
    run: str = "",
    only: str = "",
    shadows: bool = False,
    licence: str = NO_LICENCE,
) -> Exported:
    """Export finished cells.

    Args:
        store: Where they are.
        tool: One of ``TARGETS`` or ``FOLDERS``.
        out: Folder or address to export to.
        run: Name of a run; all cells of the store without one.
        only: ``key=value|value,...``, see :mod:`erase_ray.report.stored`; of weights and lists
            ``mark`` keeps those at these marks.
        shadows: Export models that only calibrate audits as well.
        licence: Of what is published, for ``huggingface``; one of its identifiers.

    Raises:
        EraseError: The library is missing, ``out`` cannot be used, the store is damaged, or ``run``
            or ``only`` name what is not there.
    """
    cells = stored_cells(store, run, only)
    kept = [cell for cell in cells if shadows or not is_shadow(cell)]
    left = len(cells) - len(kept)
    if tool in FOLDERS:
        if not kept:
            raise SettingsError(f"no finished cell to export at {store.uri}")
        marks = asked_marks(only)
        order = Order(store, kept, Path(out), run or _grid(store), marks, licence)
        return replace(FOLDERS[tool](order), shadows=left)
    with TARGETS[tool](out, run or _grid(store)) as target:
        there = target.there()
        new = [cell for cell in kept if cell.key not in there]
        _write(target, read_exports(store, new))
    return Exported(len(new), len(kept) - len(new), left)


def _write(target: Target, cells: Iterable[CellExport]) -> None:
    for cell in cells:
        target.put(cell)


def _grid(store: Store) -> str:
    """Name of the grid behind a whole store: that of its only run."""
    runs = store.runs()
    return runs[0] if len(runs) == 1 else "all"


__all__ = ["FOLDERS", "NO_LICENCE", "TARGETS", "Exported", "export"]
