"""Copy a store to another address, so that whatever has arrived is valid.

Weights go first, parents before their differences, then the files of a folder, and its manifest
last, by the same commit as that of a worker: the target may be in use. What is there is not
written again, and nothing is overwritten, so a copy that was broken off goes on where it was.
Everything is checked against its manifest or name on the way. Cells that run, their journals and
logs, and weights that no cell names stay behind.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment._commit import MANIFEST, commit_copy, read_file
from erase_ray.experiment._tensor_files import sha256
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.upkeep.inventory import (
    Inventory,
    Told,
    header_of,
    manifests,
    named_weights,
    side_by_side,
    silent,
)

FACTS = ("dataset", "model", "method", "scenario", "category", "seed", "mark", "task")
"""What ``--only`` knows of a cell."""

Manifests = dict[str, dict[str, Any]]


@dataclass
class Copied:
    """How many folders, weights and files of runs were copied, and how many bytes."""

    folders: int = 0
    weights: int = 0
    runs: int = 0
    size: int = 0
    there: int = 0
    """Folders that the target had."""


def sync(
    source: Blobs, target: Blobs, only: str = "", runs: bool = True, tell: Told = silent
) -> Copied:
    """Copy what the target lacks.

    Args:
        source: Only read.
        target: May be in use.
        only: ``key=value|value,key=value``: cells with these facts, with their data and weights;
            imported results are left out then.
        runs: Copy plans, events and reports as well; those of the target stay as they are.
        tell: Progress.

    Raises:
        StoreError: The source is damaged, or a storage cannot be read or written.
        SettingsError: ``only`` names a key that cells do not have.
    """
    wanted = _wanted(only)
    stock, there = Inventory.of(source), Inventory.of(target)
    found = _chosen(_intact(source, stock, tell), wanted)
    lacking = [folder for folder in found if folder not in there.committed]
    copied = Copied(there=len(found) - len(lacking))
    names = {sha for folder in found for sha in named_weights(found[folder])}
    for level in _levels(source, names, stock, there, tell):
        for _, size in side_by_side(_weights_copier(source, target), level, "weights", tell):
            copied.weights, copied.size = copied.weights + 1, copied.size + size
        target.settle("weights")
    copier = _folder_copier(source, target, found)
    # chains and cells lean on their dataset
    for part in (_data(lacking, 3), _data(lacking, 5), [f for f in lacking if f[:4] != "data"]):
        for _, size in side_by_side(copier, part, "folders", tell):
            copied.folders, copied.size = copied.folders + 1, copied.size + size
    if runs:
        known = {entry.name for entry in there.runs}
        new = [entry.name for entry in stock.runs if entry.name not in known]
        for _, size in side_by_side(_file_copier(source, target), new, "runs", tell):
            copied.runs, copied.size = copied.runs + 1, copied.size + size
    return copied


def _wanted(only: str) -> dict[str, list[str]]:
    wanted = {}
    for text in filter(None, only.split(",")):
        key, equals, values = text.partition("=")
        if key not in FACTS or not equals:
            raise SettingsError(
                f"--only {text}: expected key=value with a key of {', '.join(FACTS)}"
            )
        wanted[key] = values.split("|")
    return wanted


def _intact(source: Blobs, stock: Inventory, tell: Told) -> Manifests:
    found: Manifests = {}
    for folder, manifest in manifests(source, sorted(stock.committed), tell).items():
        if isinstance(manifest, StoreError):
            raise manifest
        found[folder] = manifest
    return found


def _chosen(found: Manifests, wanted: dict[str, list[str]]) -> Manifests:
    if not wanted:
        return found
    cells = {
        folder: manifest
        for folder, manifest in found.items()
        if folder.startswith("cells/")
        and all(str(manifest["facts"].get(key)) in values for key, values in wanted.items())
    }
    facts = [manifest["facts"] for manifest in cells.values()]
    data = {f"data/{one['dataset']}/{one['data_key']}" for one in facts}
    rest = {
        f: m for f, m in found.items() if f[:4] == "data" and "/".join(f.split("/")[:3]) in data
    }
    return rest | cells


def _data(folders: list[str], depth: int) -> list[str]:
    return [f for f in folders if f.startswith("data/") and f.count("/") + 1 == depth]


def _levels(
    source: Blobs, names: set[str], stock: Inventory, there: Inventory, tell: Told
) -> list[list[str]]:
    """Weights that the target lacks: full copies, their differences, differences from those ..."""
    depths: dict[str, int] = {}
    fresh = sorted(names)
    while fresh:
        lacking = [sha for sha in fresh if sha not in depths and not _has(there, stock, sha)]
        for sha in lacking:
            if sha not in stock.weights:
                text = f"weights/{sha} is not at {source.address}; see 'erase-ray store verify'"
                raise StoreError(text)
        headers = dict(
            side_by_side(lambda s: header_of(source, stock.weights[s]), lacking, "headers", tell)
        )
        depths |= {sha: header["depth"] for sha, header in headers.items()}
        fresh = sorted({header["parent"] for header in headers.values() if "parent" in header})
    order = sorted(set(depths.values()))
    return [sorted(s for s, depth in depths.items() if depth == level) for level in order]


def _has(there: Inventory, stock: Inventory, sha: str) -> bool:
    """Whether the target has a file of this name, as large as that of the source."""
    if sha not in there.weights or sha not in stock.weights:
        return sha in there.weights
    return there.weights[sha].size == stock.weights[sha].size


def _weights_copier(source: Blobs, target: Blobs) -> Callable[[str], int]:
    def copy(sha: str) -> int:
        name = f"weights/{sha}"
        with source.local(name) as path, target.scratch(name) as spare:
            if path is None:
                raise StoreError(f"{name} is not at {source.address} any more")
            shutil.copyfile(path, spare)
            if sha256(spare) != sha:
                raise StoreError(
                    f"{name} at {source.address} does not have the SHA-256 of its name; see "
                    "'erase-ray store verify'"
                )
            size = spare.stat().st_size
            target.adopt(spare, name, once=True)
        return size

    return copy


def _folder_copier(source: Blobs, target: Blobs, found: Manifests) -> Callable[[str], int]:
    def copy(folder: str) -> int:
        said = found[folder]
        files = {name: read_file(source, folder, name, said) for name in said["files"]}
        manifest = source.read(f"{folder}/{MANIFEST}")
        if manifest is None:
            raise StoreError(f"{folder} is not at {source.address} any more")
        commit_copy(target, folder, files | {MANIFEST: manifest})
        return sum(map(len, files.values())) + len(manifest)

    return copy


def _file_copier(source: Blobs, target: Blobs) -> Callable[[str], int]:
    def copy(name: str) -> int:
        data = source.read(name)
        if data is not None:
            target.create(name, data)
        return len(data or b"")

    return copy
