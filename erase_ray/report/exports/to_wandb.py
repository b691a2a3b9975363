"""Weights & Biases: one offline run a cell, for ``wandb sync``."""

import os
import shutil
from pathlib import Path
from typing import Any, Self

from erase_ray.errors import EraseError
from erase_ray.report.exports._library import library
from erase_ray.report.exports._read import EPOCH, MARK, REQUEST, CellExport

PROJECT = "erase-ray"
KEY = "erase-ray-cell.txt"
"""Holds the key, beside the run's file; a folder with it is complete."""
ID_LETTERS = 16
"""Letters of the cell's key that are the run's id, so that syncing again updates it."""
_AXES = {"results/*": MARK, "costs/*": MARK, "training*": EPOCH, "requests/*": REQUEST}
_MOST_LETTERS = 128
"""Of the name of a group or job."""


class Folder:
    """A folder of offline runs, grouped by grid; ``wandb sync`` sends them.

    No account and no network are used. ``WANDB_PROJECT`` names the project.

    Args:
        out: A local folder; runs are in ``wandb/`` below it.
        grid: Group of all runs.

    Raises:
        EraseError: ``out`` is no local folder, or the library is missing.
    """

    def __init__(self, out: str, grid: str) -> None:
        if "://" in out:
            raise EraseError(
                f"--to wandb writes offline runs to a local folder, got {out}; "
                "`wandb sync FOLDER/wandb/offline-run-*` sends them to a server"
            )
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._wandb: Any = library("wandb", "wandb")
        self._out, self._grid = Path(out).expanduser().resolve(), grid
        self._out.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        """Stop the process that writes."""
        self._wandb.teardown()

    def there(self) -> set[str]:
        """Keys of complete runs; what was broken off is deleted."""
        found = set()
        for folder in (self._out / "wandb").glob("offline-run-*"):
            if (folder / KEY).exists():
                found.add((folder / KEY).read_text().strip())
            else:
                shutil.rmtree(folder)
        return found

    def put(self, cell: CellExport) -> None:
        """Write the run of a cell."""
        run = self._wandb.init(
            mode="offline",
            dir=str(self._out),
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=cell.key[:ID_LETTERS],
            name=cell.label,
            group=self._grid[:_MOST_LETTERS],
            job_type=str(cell.params["method"])[:_MOST_LETTERS],
            config=cell.params | {"cell": {"key": cell.key, **cell.tags}},
            reinit="create_new",
            settings=self._settings(),
        )
        for names, axis in _AXES.items():
            run.define_metric(axis, hidden=True)
            run.define_metric(names, step_metric=axis)
        for row in cell.rows():
            run.log(row)
        run.summary.update(cell.last())
        folder = Path(run.dir).parent
        run.finish()
        (folder / KEY).write_text(f"{cell.key}\n")

    def _settings(self) -> Any:
        return self._wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_save_requirements=False,
        )
