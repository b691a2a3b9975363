"""Whether a store holds what its manifests say, byte by byte."""

import hashlib
import io
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from erase_ray.errors import StoreError
from erase_ray.experiment._commit import MANIFEST
from erase_ray.experiment._tensor_files import sha256
from erase_ray.experiment.blobs import Blobs, Entry
from erase_ray.experiment.upkeep.inventory import (
    Inventory,
    Told,
    header_of,
    manifests,
    named_weights,
    side_by_side,
    silent,
)

_SNAPSHOT = re.compile(r"\d{9}-([0-9a-f]{64})\.safetensors")
RUN_AGAIN = "delete the folder {} and run the same command again"
LOST = "delete the cells that name it ({}) and run the same command again"
CORRUPT = "delete it and the cells that name it ({}), and run the same command again"


@dataclass(frozen=True, order=True)
class Finding:
    """Something that is damaged.

    Args:
        name: The file, relative to the storage address.
        problem: What is wrong with it.
        remedy: What to do.
    """

    name: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Args:
        findings: Sorted by name; empty if all is well.
        num_files: How many files were read.
        num_bytes: Their size.
    """

    findings: list[Finding]
    num_files: int
    num_bytes: int


def verify(blobs: Blobs, share: float = 1.0, seed: int = 0, tell: Told = silent) -> Verdict:
    """Read a store and compare it with its manifests and names.

    Checked are every manifest; presence, size, SHA-256 and readability of every file it names (no
    file is unpickled); that weights that a cell names, or that others are differences from, are
    there; all weights and journal snapshots against the SHA-256 in their names. Cells that are
    running, and what was deleted while this ran, are no finding.

    Args:
        blobs: The storage.
        share: Part of the folders and weights whose content is read, 0 to 1.
        seed: Draws that part.
        tell: Progress.

    Raises:
        StoreError: The store cannot be read at all.
    """
    stock, draw = Inventory.of(blobs), random.Random(seed)
    findings: list[Finding] = []
    users: dict[str, list[str]] = {}
    jobs: list[_Job] = []
    read = manifests(blobs, sorted(stock.committed), tell)
    for folder, manifest in read.items():
        if isinstance(manifest, StoreError):
            problem = " ".join(str(manifest).split())
            findings.append(Finding(f"{folder}/{MANIFEST}", problem, RUN_AGAIN.format(folder)))
            continue
        for sha in named_weights(manifest):
            users.setdefault(sha, []).append(folder)
        if draw.random() < share:
            jobs.append(_Job(_folder_job(blobs, folder, manifest), stock.committed[folder]))
    findings += _missing(stock, users)
    chosen = [sha for sha in sorted(stock.weights) if draw.random() < share]
    jobs += [_weights_job(blobs, stock, sha, users) for sha in chosen]
    jobs += [_Job(_snapshot_job(blobs, entry), [entry]) for entry in _snapshots(stock)]
    for _, found in side_by_side(lambda job: job.run(), jobs, "files", tell):
        findings += found
    files = [entry for job in jobs for entry in job.entries]
    return Verdict(sorted(set(findings)), len(files), sum(entry.size for entry in files))


@dataclass(frozen=True)
class _Job:
    run: Callable[[], list[Finding]]
    entries: list[Entry]


def _missing(stock: Inventory, users: dict[str, list[str]]) -> list[Finding]:
    trash = {entry.name.rpartition("/")[2] for entry in stock.trash}
    lost = sorted(users.keys() - stock.weights.keys())
    return [
        Finding(f"weights/{sha}", "it is in the trash", "run 'erase-ray store gc', which restores")
        if sha in trash
        else Finding(f"weights/{sha}", "it is not there", LOST.format(_some(users[sha])))
        for sha in lost
    ]


def _folder_job(blobs: Blobs, folder: str, manifest: dict[str, Any]) -> Callable[[], list[Finding]]:
    def run() -> list[Finding]:
        key = manifest.get("key")
        problems = {name: _problem(blobs, folder, name, manifest) for name in manifest["files"]}
        if key is not None and key != folder.rpartition("/")[2]:
            problems[MANIFEST] = f"it is of another folder, {key}"
        remedy = RUN_AGAIN.format(folder)
        found = [Finding(f"{folder}/{n}", text, remedy) for n, text in problems.items() if text]
        # somebody may have deleted the whole folder meanwhile
        return found if found and blobs.exists(f"{folder}/{MANIFEST}") else []

    return run


def _problem(blobs: Blobs, folder: str, name: str, manifest: dict[str, Any]) -> str:
    """What is wrong with a file; empty if nothing is."""
    said = manifest["files"][name]
    data = blobs.read(f"{folder}/{name}")
    if data is None:
        return "it is not there"
    if len(data) != said["size"]:
        return f"it has {len(data)} bytes, its manifest says {said['size']}"
    if hashlib.sha256(data).hexdigest() != said["sha256"]:
        return "its bytes do not have the SHA-256 of its manifest"
    try:
        _open(name, data)
    except (ValueError, pa.ArrowException, OSError, yaml.YAMLError) as error:
        return f"it cannot be read: {' '.join(str(error).split())}"
    return ""


def _open(name: str, data: bytes) -> None:
    kind = name.rpartition(".")[2]
    if kind == "parquet":
        pq.read_table(io.BytesIO(data))
    elif kind == "json":
        json.loads(data)
    elif kind == "jsonl":
        for line in data.splitlines():
            json.loads(line)
    elif kind == "yaml":
        yaml.safe_load(data)
    elif kind in ("pkl", "pickle", "pt", "pth"):
        raise ValueError("a pickle, which is never opened")


def _weights_job(blobs: Blobs, stock: Inventory, sha: str, users: dict[str, list[str]]) -> _Job:
    name, cells = f"weights/{sha}", _some(users.get(sha, []))

    def run() -> list[Finding]:
        if problem := _wrong_sha(blobs, name, sha):
            return [Finding(name, problem, CORRUPT.format(cells))]
        try:
            parent = header_of(blobs, stock.weights[sha]).get("parent")
        except StoreError as error:
            if not blobs.exists(name):
                return []
            return [Finding(name, " ".join(str(error).split()), CORRUPT.format(cells))]
        if parent is None or parent in stock.weights or blobs.exists(f"weights/{parent}"):
            return []
        problem = f"its parent weights/{parent} is not there"
        return [Finding(name, problem, CORRUPT.format(cells))]

    return _Job(run, [stock.weights[sha]])


def _snapshots(stock: Inventory) -> list[Entry]:
    entries = [entry for files in stock.open.values() for entry in files]
    return [entry for entry in entries if _SNAPSHOT.fullmatch(entry.name.rpartition("/")[2])]


def _snapshot_job(blobs: Blobs, entry: Entry) -> Callable[[], list[Finding]]:
    match = _SNAPSHOT.fullmatch(entry.name.rpartition("/")[2])
    assert match

    def run() -> list[Finding]:
        problem = _wrong_sha(blobs, entry.name, match[1])
        remedy = "nothing: it is passed over, and the work since is done again"
        return [Finding(entry.name, problem, remedy)] if problem else []

    return run


def _wrong_sha(blobs: Blobs, name: str, sha: str) -> str:
    with blobs.local(name) as path:
        if path is None:  # deleted since the listing; who needs it is found by its manifest
            return ""
        try:
            is_right = sha256(path) == sha
        except FileNotFoundError:
            return ""
    return "" if is_right else "its bytes do not have the SHA-256 of its name"


def _some(folders: list[str], most: int = 3) -> str:
    names = sorted(folders)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none now"
