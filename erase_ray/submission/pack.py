"""Pack finished cells of a store, so that others can check them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment._placed import scratch_beside
from erase_ray.experiment._tensor_files import sha256
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.inventory import Inventory, Told, header_of, named_weights, silent
from erase_ray.report.read import CellInfo
from erase_ray.report.stored import name_of, stored_cells
from erase_ray.submission.absent import left_out, packed_run
from erase_ray.submission.archive import ENDINGS, write_archive
from erase_ray.submission.environment import environment
from erase_ray.submission.manifest import (
    KIND,
    MANIFEST,
    SUBMISSION_FORMAT,
    About,
    File,
    Manifest,
    PackedCell,
    Stripped,
)
from erase_ray.submission.parts import cell_files, plan_file


@dataclass(frozen=True)
class Choice:
    """What of a store is packed.

    Args:
        run: Name of a run; all cells of the store without one.
        only: ``key=value|value,...``, see :mod:`erase_ray.report.stored`.
        has_weights: Pack the weights of the cells as well.
    """

    run: str = ""
    only: str = ""
    has_weights: bool = False


def submit(
    address: str, out: Path, about: About, choice: Choice = Choice(), tell: Told = silent
) -> Manifest:
    """Pack finished cells into a folder, or into an archive if ``out`` ends in ``.tar.gz``.

    The same cells give the same bytes on the same machine. Nothing of the name ``out`` is there
    before all of it is.

    Args:
        address: Of the store.
        out: What to write; must not exist.
        about: What the submitter says.
        choice: What to pack.
        tell: Progress.

    Raises:
        StoreError: ``out`` exists or cannot be written, a file of the store is damaged, or settings
            or numbers hold a secret.
        SettingsError: There is no cell to pack, or ``choice`` names what is not there.
    """
    if out.exists():
        raise StoreError(f"{out} exists; name another file or folder, or delete it")
    store = Store(address, read_only=True)
    cells = stored_cells(store, choice.run, choice.only)
    if not cells:
        raise SettingsError(f"no finished cell to submit at {store.uri}")
    with _placed(out) as folder:
        manifest = _Packing(store, folder, choice).pack(cells, about, tell)
        if choice.has_weights:
            _copy_weights(open_blobs(address, read_only=True), cells, folder, tell)
        manifest = manifest.model_copy(update={"files": _files(folder)})
        (folder / MANIFEST).write_bytes(manifest.to_bytes())
    return manifest


@dataclass(frozen=True)
class _Packing:
    store: Store
    folder: Path
    choice: Choice

    def pack(self, cells: list[CellInfo], about: About, tell: Told) -> Manifest:
        """Write the files of cells and runs; the manifest does not list them yet."""
        stripped: list[Stripped] = []
        for number, cell in enumerate(cells):
            self._write(cell_files(self.store, cell, stripped))
            tell("cells", number + 1, len(cells))
        packed, done = {cell.key for cell in cells}, self.store.done_cells()
        runs = {}
        for run in [self.choice.run] if self.choice.run else self.store.runs():
            name, plan = plan_file(self.store, run, stripped)
            self._write({name: plan})
            runs[run] = packed_run(self.store, run, name, plan, packed, done)
        last = max(str(cell.manifest["created"]) for cell in cells)
        return Manifest(
            format=SUBMISSION_FORMAT,
            kind=KIND,
            about=about if about.when else about.model_copy(update={"when": last[:10]}),
            environment=environment(),
            runs=runs,
            cells=[self._described(cell) for cell in cells],
            left_out=left_out(stored_cells(self.store), packed, runs.values()),
            has_weights=self.choice.has_weights,
            stripped=stripped,
            files={},
        )

    def _write(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _described(self, cell: CellInfo) -> PackedCell:
        """As the packed files say it, which are without secrets."""
        folder = self.folder / "cells" / cell.key[:2] / cell.key
        manifest = json.loads((folder / "manifest.json").read_bytes())
        known = replace(cell, manifest=manifest)
        return PackedCell(
            key=cell.key,
            label=name_of(known),
            settings=cell.settings,
            device=str(known.facts.get("device", "")),
            versions=manifest["versions"],
            created=manifest["created"],
        )


@contextmanager
def _placed(out: Path) -> Iterator[Path]:
    """A folder whose content gets the name ``out``, packed or not, if the block ends well."""
    with scratch_beside(out) as scratch:
        folder = scratch / "folder"
        folder.mkdir()
        yield folder
        if not out.name.endswith(ENDINGS):
            folder.rename(out)
            return
        write_archive(folder, scratch / "archive")
        (scratch / "archive").rename(out)


def _copy_weights(blobs: Blobs, cells: list[CellInfo], folder: Path, tell: Told) -> None:
    """The weights that cells name, and those that they are differences from."""
    stock = Inventory.of(blobs, "weights").weights
    todo = sorted({sha for cell in cells for sha in named_weights(cell.manifest)})
    (folder / "weights").mkdir()
    done: set[str] = set()
    while todo:
        sha = todo.pop()
        if sha in done:
            continue
        if sha not in stock:
            raise StoreError(f"weights/{sha} is not at {blobs.address}; run 'erase-ray verify'")
        with blobs.local(f"weights/{sha}") as path:
            if path is None or sha256(path) != sha:
                raise StoreError(f"weights/{sha} at {blobs.address} is damaged")
            shutil.copyfile(path, folder / "weights" / sha)
        done.add(sha)
        tell("weights", len(done), len(done) + len(todo))
        if parent := header_of(blobs, stock[sha]).get("parent"):
            todo.append(parent)


def _files(folder: Path) -> dict[str, File]:
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: _described_file(paths[name]) for name in sorted(paths)}


def _described_file(path: Path) -> File:
    return File(sha256=sha256(path), size=path.stat().st_size)
