"""What an export into a folder of files is asked for."""

import re
from dataclasses import dataclass
from pathlib import Path

from erase_ray.experiment.results import BASE, ORIGINAL
from erase_ray.experiment.store import Store
from erase_ray.report.read import CellInfo
from erase_ray.report.stored import name_of

NO_MARK = 0
"""Mark of weights that no request has touched."""


@dataclass(frozen=True)
class Order:
    """What to export, and where.

    Args:
        store: Has the cells.
        cells: Those to export, by label.
        out: Folder to write to.
        name: Of the run or grid.
        marks: Marks of the chain that are asked for.
        licence: Of what is published; an identifier of Hugging Face.
    """

    store: Store
    cells: list[CellInfo]
    out: Path
    name: str
    marks: tuple[int, ...]
    licence: str

    def chosen(self, cell: CellInfo) -> dict[int, str]:
        """Names of the weights of a cell at the marks that are asked for."""
        weights = {int(mark): sha for mark, sha in cell.manifest["weights"].items()}
        if cell.method in (BASE, ORIGINAL):  # the same at all marks
            return {NO_MARK: min(weights.values())} if weights else {}
        return {mark: sha for mark, sha in sorted(weights.items()) if mark in self.marks}


def readable_path(label: str, key: str) -> str:
    """A relative folder that people can read, such as ``toy/bpr/scif/s2/0123456789ab``."""
    steps = [re.sub(r"[^\w@+~=-]+", "-", step) for step in label.split("/")]
    return "/".join([*steps, key[:12]])


def cell_path(cell: CellInfo) -> str:
    """The same of a finished cell."""
    return readable_path(name_of(cell), cell.key)
