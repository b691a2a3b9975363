"""What a store holds, from one listing and the manifests."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from erase_ray import pulse
from erase_ray.errors import StoreError
from erase_ray.experiment._commit import MANIFEST, read_manifest
from erase_ray.experiment.blobs import Blobs, Entry
from erase_ray.experiment.weights import TRASH

READERS = 32
PENDING = "pending"
LEASE = "lease"
IMPORTED = "imported"
"""Results of other programs; each folder in it is committed as cells are and names no weights."""
RUNNING = ("journal", "live", LEASE)
"""Folders of a cell that is not committed yet."""

Told = Callable[[str, int, int], None]
"""Is told what is being done, how many of it are done, and of how many."""

A = TypeVar("A")
B = TypeVar("B")
_USUAL_BYTES = 1 << 14
"""Holds most headers."""
_SHA = re.compile("[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\..*\.tmp|\.probe-[0-9a-f]+")


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Inventory:
    """The files of a store by what they are.

    Args:
        committed: Files of each folder that has a manifest, by folder: cells, data, chains,
            imported results.
        open: Files of cells and datasets without one, by folder.
        leftovers: ``pending``, journals, live logs and leases of committed folders.
        weights: By SHA-256.
        trash: Weights that ``gc`` took out.
        temporary: What writers were writing.
        runs: Plans, events, reports.
        other: What is none of these.
    """

    committed: dict[str, list[Entry]] = field(default_factory=dict)
    open: dict[str, list[Entry]] = field(default_factory=dict)
    leftovers: list[Entry] = field(default_factory=list)
    weights: dict[str, Entry] = field(default_factory=dict)
    trash: list[Entry] = field(default_factory=list)
    temporary: list[Entry] = field(default_factory=list)
    runs: list[Entry] = field(default_factory=list)
    other: list[Entry] = field(default_factory=list)

    @classmethod
    def of(cls, blobs: Blobs, folder: str = "") -> "Inventory":
        """Take stock of the store, or of a folder of it, in one listing."""
        entries = blobs.entries(folder)
        found = cls()
        done = {e.name.rpartition("/")[0] for e in entries if e.name.endswith(f"/{MANIFEST}")}
        for entry in entries:
            found._sort_in(entry, done)
        return found

    def cells(self) -> list[str]:
        """Folders of committed cells."""
        return [folder for folder in self.committed if folder.startswith("cells/")]

    def _sort_in(self, entry: Entry, done: set[str]) -> None:
        top, _, rest = entry.name.partition("/")
        leaf = entry.name.rpartition("/")[2]
        lists = {TRASH: self.trash, "runs": self.runs}
        if _TEMPORARY.fullmatch(leaf):
            self.temporary.append(entry)
        elif top == "weights" and _SHA.fullmatch(rest):
            self.weights[rest] = entry
        elif top in lists:
            lists[top].append(entry)
        elif (owner := owner_of(entry.name)) is None:
            self.other.append(entry)
        elif owner not in done:
            self.open.setdefault(owner, []).append(entry)
        elif is_passing(entry.name[len(owner) + 1 :]):
            self.leftovers.append(entry)
        else:
            self.committed.setdefault(owner, []).append(entry)


def owner_of(name: str) -> str | None:
    """The folder with a manifest of its own that a file belongs to; None if it has none."""
    parts = name.split("/")
    if parts[0] == "cells" and len(parts) > 3:
        return "/".join(parts[:3])
    if parts[0] == "data" and len(parts) > 3 and parts[1] != "raw":
        depth = 5 if parts[3] == "chains" and len(parts) > 5 else 3
        return "/".join(parts[:depth])
    if parts[0] == IMPORTED and len(parts) > 2:
        return "/".join(parts[:2])
    return None


def is_passing(inside: str) -> bool:
    """Whether a file of a folder, by its name inside, is of use only until the commit."""
    return inside == PENDING or inside.partition("/")[0] in RUNNING


def manifests(
    blobs: Blobs, folders: Iterable[str], tell: Told = silent
) -> dict[str, dict[str, Any] | StoreError]:
    """The manifest of each folder, or what is wrong with it, read side by side."""

    def read(folder: str) -> dict[str, Any] | StoreError:
        try:
            return read_manifest(blobs, folder)
        except StoreError as error:
            return error

    return dict(side_by_side(read, list(folders), "manifests", tell))


def side_by_side(
    work: Callable[[A], B], what: list[A], title: str, tell: Told = silent
) -> Iterator[tuple[A, B]]:
    """Each of ``what`` with what ``work`` makes of it, in order; several at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        for number, (one, made) in enumerate(zip(what, pool.map(work, what), strict=True)):
            pulse.beat()
            tell(title, number + 1, len(what))
            yield one, made


def named_weights(manifest: dict[str, Any]) -> set[str]:
    """Names of the weights of a cell."""
    return set(manifest.get("weights", {}).values())


def header_of(blobs: Blobs, entry: Entry) -> dict[str, Any]:
    """The metadata of a safetensors file, from its first bytes.

    Raises:
        StoreError: It is not there, or it is no safetensors file.
    """
    start = _head(blobs, entry, _USUAL_BYTES)
    length = int.from_bytes(start[:8], "little")
    if len(start) < length + 8 <= entry.size:
        start = _head(blobs, entry, length + 8)
    try:
        metadata = json.loads(start[8 : 8 + length])["__metadata__"]
        return json.loads(metadata["erase_ray"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{entry.name} at {blobs.address} is no file of weights") from error


def _head(blobs: Blobs, entry: Entry, num_bytes: int) -> bytes:
    # some servers refuse a range beyond the end
    start = blobs.head(entry.name, min(num_bytes, entry.size)) if entry.size else b""
    if start is None:
        raise StoreError(f"{entry.name} is not at {blobs.address}")
    return start
