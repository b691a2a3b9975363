"""TensorBoard: event files, one folder a cell."""

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from erase_ray.errors import EraseError
from erase_ray.report.exports._library import library
from erase_ray.report.exports._read import CellExport

KEY = "cell.txt"
"""Holds the key, beside the events; a folder with it is complete."""
_PARTIAL = ".partial-"


class Folder:
    """A log folder of TensorBoard.

    Marks are shown at the number of requests served by then; the time of an event is that of the
    cell's commit. A folder is written elsewhere and moved into place, so it is complete or absent.

    Args:
        out: A local folder.
        grid: Shown among the hyper-parameters.

    Raises:
        EraseError: ``out`` is no local folder, or the library is missing.
    """

    def __init__(self, out: str, grid: str) -> None:
        if "://" in out:
            raise EraseError(f"--to tensorboard writes to a local folder, got {out}")
        self._library = library("tensorboardX", "tensorboard")
        self._hparams = library("tensorboardX.summary", "tensorboard").hparams
        logging.getLogger("tensorboardX").setLevel(logging.ERROR)  # it warns of every NaN
        self._out, self._grid = Path(out).expanduser(), grid
        self._out.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        for left in self._out.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)
        return self

    def __exit__(self, *args: object) -> None:
        """Nothing stays open."""

    def there(self) -> set[str]:
        """Keys of cells that have a folder."""
        return {path.read_text().strip() for path in self._out.rglob(KEY)}

    def put(self, cell: CellExport) -> None:
        """Write the events of a cell."""
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=self._out))
        writer = self._library.SummaryWriter(str(folder), write_to_disk=True)
        try:
            self._write(writer, cell)
        finally:
            writer.close()
        (folder / KEY).write_text(f"{cell.key}\n")
        folder.chmod(0o755)
        target = self._out / cell.path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder, target)

    def _write(self, writer: Any, cell: CellExport) -> None:
        when = cell.created_s
        for summary in self._hparams(cell.params | {"grid": self._grid}, cell.last()):
            writer.file_writer.add_summary(summary, 0, when)
        text = "\n".join(f"- {name}: `{value}`" for name, value in cell.tags.items())
        writer.add_text("cell", text, 0, when)
        for point in cell.points:
            writer.add_scalar(point.name, point.value, cell.served(point), when)
