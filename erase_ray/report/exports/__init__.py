"""Finished cells for tools that track experiments, from the store alone.

Every tool gets one run a cell, with the same names: ``results/<metric>_at_<k>``,
``costs/<metric>``, ``training/loss`` and ``training/valid``, ``requests/step_norm`` and
``requests/seconds``. Exporting again adds what is new and repeats nothing.
"""

from collections.abc import Callable, Iterable

from erase_ray.experiment.store import Store
from erase_ray.report.exports import to_mlflow, to_tensorboard, to_wandb
from erase_ray.report.exports._read import CellExport, is_shadow, read_exports
from erase_ray.report.exports._target import Exported, Target
from erase_ray.report.stored import stored_cells

TARGETS: dict[str, Callable[[str, str], Target]] = {
    "tensorboard": to_tensorboard.Folder,
    "mlflow": to_mlflow.Server,
    "wandb": to_wandb.Folder,
}
"""What makes a target of an address and the name of the grid, by the name of the tool."""


def export(
    store: Store, tool: str, out: str, run: str = "", only: str = "", shadows: bool = False
) -> Exported:
    """Export finished cells.

    Args:
        store: Where they are.
        tool: One of ``TARGETS``.
        out: Folder or address to export to.
        run: Name of a run; all cells of the store without one.
        only: ``key=value|value,...``, see :mod:`erase_ray.report.stored`.
        shadows: Export models that only calibrate audits as well.

    Raises:
        EraseError: The library is missing, ``out`` cannot be used, the store is damaged, or ``run``
            or ``only`` name what is not there.
    """
    cells = stored_cells(store, run, only)
    kept = [cell for cell in cells if shadows or not is_shadow(cell)]
    with TARGETS[tool](out, run or _grid(store)) as target:
        there = target.there()
        new = [cell for cell in kept if cell.key not in there]
        _write(target, read_exports(store, new))
    return Exported(len(new), len(kept) - len(new), len(cells) - len(kept))


def _write(target: Target, cells: Iterable[CellExport]) -> None:
    for cell in cells:
        target.put(cell)


def _grid(store: Store) -> str:
    """Name of the grid behind a whole store: that of its only run."""
    runs = store.runs()
    return runs[0] if len(runs) == 1 else "all"


__all__ = ["TARGETS", "Exported", "export"]
