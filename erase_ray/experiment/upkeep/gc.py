"""Take out of a store what nothing can need any more.

What goes, if it is older than the grace period: ``pending`` objects, journals, live logs and leases
of folders whose manifest is there (the commit has them all, and whoever still writes them stops at
the manifest); files that killed writers left half written; and weights that nothing names.

Weights are shared and named late, so they are the delicate part. A weights file is kept if its name
stands in a manifest, in a ``pending`` record (which the next writer completes), in the header of a
journal's snapshot or in a live log, or if one that is kept is a difference from it. Two things may
happen meanwhile:

* A running cell stores weights that nothing names yet. They are new, so the grace period keeps
  them: a cell must name what it stored (by a snapshot, a live log or its commit) within that time.
* A running cell makes weights that lie there already, old and unnamed (its predecessor was killed),
  does not write them again, and names them after the search for names. A second search just before
  the sweep catches most of these, but none could catch all. So weights are not deleted: they are
  *moved* to ``trash/<second>/``, where readers still find them. The next ``gc`` puts back what is
  named by then and deletes the rest, a grace period after the move. By then whoever had met the
  file before it was moved has named it; whoever came later found it missing and wrote it anew. So
  nothing that anybody names is ever lost.

Ages are differences of times of the storage itself: a small object is written to learn its now, and
clocks of machines do not matter. Cells without a manifest are left alone: they run, or will be
resumed.
"""

import re
import uuid
from collections import Counter
from dataclasses import dataclass, field

from erase_ray.errors import StoreError
from erase_ray.experiment.blobs import Blobs, Entry
from erase_ray.experiment.upkeep.inventory import (
    LEASE,
    PENDING,
    RUNNING,
    Inventory,
    Told,
    header_of,
    is_passing,
    manifests,
    named_weights,
    side_by_side,
    silent,
)
from erase_ray.experiment.weights import TRASH

_SHA = re.compile("[0-9a-f]{64}")
_NAMES = re.compile(rb"[0-9a-f]{64}")
HOUR_S = 3600.0


@dataclass(eq=False)
class Swept:
    """Counts and bytes of what was taken out, by kind; and of what was put back."""

    files: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, entry: Entry) -> None:
        """Count a file."""
        self.files[kind] += 1
        self.size[kind] += entry.size


def gc(
    blobs: Blobs, grace_s: float = 24 * HOUR_S, dry_run: bool = False, tell: Told = silent
) -> Swept:
    """Sweep a store; see the module for what goes and why nothing that is named can.

    Args:
        blobs: The storage; may be in use.
        grace_s: Files that are younger stay.
        dry_run: Change nothing.
        tell: Progress.

    Raises:
        StoreError: The store cannot be read or written, or a manifest is damaged, so that what it
            names is not known.
    """
    now = storage_time(blobs)
    before = now - grace_s
    stock = Inventory.of(blobs)
    search = _Search(blobs, tell)
    search.look(stock)
    old = {sha for sha, entry in stock.weights.items() if entry.modified < before}
    at_stake = old | {_leaf(entry) for entry in stock.trash if _SHA.fullmatch(_leaf(entry))}
    kept = search.closure(at_stake, stock)
    if at_stake - kept:  # what was named since
        search.look(Inventory.of(blobs, "cells"))
        kept = search.closure(at_stake, stock)
    swept = Swept()
    steps = [
        *_thrown(stock, old - kept, int(now)),
        *_emptied(stock, kept, before),
        *_left(stock, before),
    ]
    for step in steps:
        swept.add(step.kind, step.entry)
    if not dry_run:
        for _ in side_by_side(lambda step: step.take(blobs), steps, "files", tell):
            pass
    return swept


@dataclass(frozen=True)
class _Step:
    """A file that is moved to another name, or deleted if that is None."""

    kind: str
    entry: Entry
    new: str | None = None

    def take(self, blobs: Blobs) -> None:
        if self.new is None:
            blobs.remove(self.entry.name)
        else:
            blobs.move(self.entry.name, self.new)


def _thrown(stock: Inventory, orphans: set[str], second: int) -> list[_Step]:
    return [
        _Step("weights to the trash", stock.weights[sha], f"{TRASH}/{second}/{sha}")
        for sha in sorted(orphans)
    ]


def _emptied(stock: Inventory, kept: set[str], before: float) -> list[_Step]:
    """Put back what is named, and delete what is old."""
    back = {_leaf(entry): entry for entry in stock.trash if _leaf(entry) in kept}
    steps = [
        _Step("weights put back", entry, f"weights/{sha}")
        for sha, entry in back.items()
        if sha not in stock.weights
    ]
    moved = {step.entry for step in steps}
    for entry in stock.trash:
        second = entry.name.split("/")[1]
        since = float(second) if second.isdigit() else entry.modified
        if since < before and entry not in moved:
            steps.append(_Step("trash", entry))
    return steps


def _left(stock: Inventory, before: float) -> list[_Step]:
    files = [(_kind(e), e) for e in stock.leftovers] + [("temporary", e) for e in stock.temporary]
    return [_Step(kind, entry) for kind, entry in files if entry.modified < before]


def _leaf(entry: Entry) -> str:
    return entry.name.rpartition("/")[2]


def storage_time(blobs: Blobs) -> float:
    """Seconds since 1970 by the clock of the storage.

    Raises:
        StoreError: It cannot be written, or tells no times.
    """
    folder = f"{TRASH}/clock-{uuid.uuid4().hex}"
    blobs.write(f"{folder}/now", b"0")
    try:
        times = [entry.modified for entry in blobs.entries(folder)]
    finally:
        blobs.clear(folder)
    if not times or times[0] <= 0:
        raise StoreError(f"{blobs.address} does not tell when files were written; nothing is swept")
    return times[0]


def _tellers(stock: Inventory) -> list[Entry]:
    """What cells without a manifest have left that may name weights."""
    folders = (item for item in stock.open.items() if item[0].startswith("cells/"))
    return [
        entry
        for folder, entries in folders
        for entry in entries
        if entry.size and _kind(entry) != LEASE and is_passing(entry.name[len(folder) + 1 :])
    ]


def _kind(entry: Entry) -> str:
    inside = entry.name.split("/")[3] if entry.name.startswith("cells/") else PENDING
    return inside if inside in RUNNING else PENDING


class _Search:
    """Finds the names of weights that something needs."""

    def __init__(self, blobs: Blobs, tell: Told) -> None:
        self._blobs, self._tell = blobs, tell
        self._named: set[str] = set()
        self._known: set[Entry] = set()
        self._parents: dict[str, str | None] = {}

    def look(self, stock: Inventory) -> None:
        """Read manifests, and what cells without one have left, if not read before."""
        self._look_at_manifests(stock)
        new = [entry for entry in _tellers(stock) if entry not in self._known]
        for _, names in side_by_side(self._mentioned, new, "journals", self._tell):
            self._named |= names
        # what keeps its size and time is not written again, and names nothing new
        self._known.update(new)

    def _look_at_manifests(self, stock: Inventory) -> None:
        marks = {
            folder: entry
            for folder in stock.cells()
            for entry in stock.committed[folder]
            if entry.name == f"{folder}/manifest.json"
        }
        new = [folder for folder, entry in marks.items() if entry not in self._known]
        for folder, manifest in manifests(self._blobs, new, self._tell).items():
            if isinstance(manifest, StoreError):
                if self._blobs.exists(marks[folder].name):
                    raise StoreError(f"{manifest}. Nothing was swept, see 'erase-ray store verify'")
                continue
            self._named |= named_weights(manifest)
            self._known.add(marks[folder])

    def closure(self, at_stake: set[str], stock: Inventory) -> set[str]:
        """The names found, and those of all that they are differences from.

        Headers are read only while something of ``at_stake`` might go.
        """
        places = {_leaf(entry): entry for entry in stock.trash}
        places |= stock.weights
        kept, fresh = set(self._named), self._named | (stock.weights.keys() - at_stake)
        while fresh and at_stake - kept:
            lacking = sorted((fresh & places.keys()) - self._parents.keys())
            headers = side_by_side(
                lambda sha: self._parent(places[sha]), lacking, "headers of weights", self._tell
            )
            self._parents.update(headers)
            fresh = {p for sha in fresh if (p := self._parents.get(sha))} - kept
            kept |= fresh
        return kept

    def _parent(self, entry: Entry) -> str | None:
        try:
            return header_of(self._blobs, entry).get("parent")
        except StoreError as error:
            if not self._blobs.exists(entry.name):
                return None
            raise StoreError(f"{error}. Nothing was swept, see 'erase-ray store verify'") from error

    def _mentioned(self, entry: Entry) -> set[str]:
        """Whatever in a file looks like a name of weights, be it the name of something else."""
        if entry.name.endswith(".safetensors"):
            try:
                text = str(header_of(self._blobs, entry)).encode()
            except StoreError:
                return set()  # half of a snapshot, or one that was deleted, is no snapshot
        else:
            text = self._blobs.read(entry.name) or b""
        return {found.decode() for found in _NAMES.findall(text)}
