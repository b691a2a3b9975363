"""Snapshots of something long, each of them in the store whole or not at all.

A snapshot is one safetensors file, put atomically under a name that holds its position and its own
SHA-256, so half a file, or one that was damaged, shows by its name. Tensors that did not change
since an earlier snapshot stay in the file of that one. The last two snapshots are kept, with the
files they need: if the newest is damaged, the one before is used.

On a remote storage a snapshot arrives some time after it was saved (see ``_spool.py``); older ones
are deleted once it is there.

Snapshots may be lost, never wrong: whoever cannot read one does the work again, and where one
cannot be written the work goes on without it. So several writers (a worker that was taken for dead,
and its successor) need no lock; the worst they do to each other is to delete.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from erase_ray.errors import StoreError
from erase_ray.experiment._tensor_files import put_tensors, sha256
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.weights import separate

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raised when the content of a snapshot changes; older ones are passed over."""
KEPT = 2
MAX_FILES = 16
"""A snapshot that would lean on more files is written in full."""
MAX_WASTE = 2
"""As is one whose files would hold so many times the bytes it needs."""

_KEY = "erase_ray"
_NAME = re.compile(r"(\d{9})-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What was done and made up to a moment.

    Args:
        position: How much is done; the snapshot with the highest is the newest.
        facts: Plain JSON values.
        tensors: By name; those of a snapshot that was read may be maps of a file: copy them.
    """

    position: int
    facts: dict[str, Any]
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class _File:
    """A file of the journal, as far as its header tells."""

    name: str
    position: int
    digests: dict[str, str]
    """Of every tensor of the snapshot, by name."""
    places: dict[str, str]
    """The file that each tensor is in."""
    num_bytes: int


@dataclass(eq=False)
class Journal:
    """The snapshots of one piece of work.

    Args:
        blobs: The storage.
        folder: Holds the journal alone.
        identity: What the work is; snapshots of anything else are passed over.
    """

    blobs: Blobs
    folder: str
    identity: dict[str, str]
    _kept: list[_File] = field(default_factory=list)
    _sizes: dict[str, int] = field(default_factory=dict)
    _others: set[str] = field(default_factory=set)

    def load(self) -> Snapshot | None:
        """The newest intact snapshot of this very work; None if there is none."""
        start = len(self.folder) + 1
        inside = (name[start:] for name in self.blobs.names(self.folder))
        # folders below are journals of their own
        names = [name for name in inside if "/" not in name]
        self._others = set(names)
        for name in sorted(filter(_NAME.fullmatch, names), reverse=True):
            try:
                file, snapshot = self._read_snapshot(name)
            except (StoreError, SafetensorError, KeyError, ValueError, OSError) as error:
                logger.warning("snapshot %s is passed over: %s", name, error)
                continue
            self._kept = [file]
            return snapshot
        return None

    def save(self, snapshot: Snapshot) -> bool:
        """Put a snapshot, and delete what the last two do not need; False if that failed."""
        self._forget_lost(self.blobs.lost(self.folder))
        try:
            self._kept = [*self._kept, self._put(snapshot)][-KEPT:]
            self._tidy()
        except (StoreError, SafetensorError, OSError) as error:
            logger.warning("no snapshot at %d in %s: %s", snapshot.position, self.folder, error)
            return False
        return True

    def flush(self) -> bool:
        """Wait until the snapshots saved so far are in the storage; False if one is not."""
        try:
            self.blobs.settle(self.folder)
        except StoreError as error:
            self._forget_lost([str(error)])
            return False
        return True

    def branch(self, name: str, identity: dict[str, str]) -> "Journal":
        """The journal of a part of the work, which goes with this one when that is deleted.

        Args:
            name: Of the kind of work; one folder below this one.
            identity: What a snapshot of it has to agree in besides.
        """
        return Journal(self.blobs, f"{self.folder}/{name}", self.identity | identity)

    def clear(self) -> None:
        """Delete everything, parts included."""
        self.blobs.clear(self.folder)

    def _put(self, snapshot: Snapshot) -> _File:
        tensors = separate(snapshot.tensors)
        digests = {name: _digest(tensor) for name, tensor in tensors.items()}
        old = self._kept[-1] if self._kept else None
        places = _places(digests, old)
        if self._is_wasteful(places, tensors):
            places = {}
        own = {name: tensor for name, tensor in tensors.items() if name not in places}
        header = {
            "identity": self._whole_identity,
            "position": snapshot.position,
            "facts": snapshot.facts,
            "digests": digests,
            "places": places,
        }
        name = self._write(own, json.dumps(header, sort_keys=True), snapshot.position)
        self._sizes[name] = _num_bytes(own.values())
        places = {tensor: places.get(tensor, name) for tensor in tensors}
        return _File(name, snapshot.position, digests, places, self._sizes[name])

    def _forget_lost(self, names: list[str]) -> None:
        """Lean on nothing from before if something of it did not arrive."""
        if names:
            logger.warning("the next snapshot in %s is written in full", self.folder)
            self._kept = []

    def _write(self, tensors: dict[str, Tensor], header: str, position: int) -> str:
        stem = f"{self.folder}/{position:09d}-"
        digest = put_tensors(
            self.blobs, tensors, {_KEY: header}, lambda sha: f"{stem}{sha}.safetensors", once=False
        )
        return f"{position:09d}-{digest}.safetensors"

    def _is_wasteful(self, places: dict[str, str], tensors: dict[str, Tensor]) -> bool:
        files = set(places.values())
        stored = sum(self._sizes.get(file, 0) for file in files)
        needed = _num_bytes(tensors[name] for name in places)
        return len(files) >= MAX_FILES or stored > MAX_WASTE * needed

    def _tidy(self) -> None:
        """Delete the files that are known and that no snapshot to be kept needs."""
        needed = {name for file in self._kept for name in (file.name, *file.places.values())}
        known = self._others | set(self._sizes)
        for name in sorted(known - needed):
            self.blobs.remove(f"{self.folder}/{name}")
            self._sizes.pop(name, None)
        self._others &= needed

    def _read_snapshot(self, name: str) -> tuple[_File, Snapshot]:
        tensors, header = self._read(name)
        if header["identity"] != self._whole_identity:
            raise StoreError(f"it belongs to {header['identity']}, not to {self._whole_identity}")
        places = {tensor: header["places"].get(tensor, name) for tensor in header["digests"]}
        for other in sorted(set(header["places"].values())):
            found, _ = self._read(other)
            tensors |= {tensor: found[tensor] for tensor in places if places[tensor] == other}
        snapshot = Snapshot(header["position"], header["facts"], {n: tensors[n] for n in places})
        file = _File(name, header["position"], header["digests"], places, self._sizes[name])
        return file, snapshot

    def _read(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        with self.blobs.local(f"{self.folder}/{name}") as path:
            if path is None:
                raise StoreError(f"{name} is not there")
            if f"-{sha256(path)}." not in name:
                raise StoreError(f"{name} does not have the SHA-256 of its name")
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})[_KEY])
                tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
        self._sizes[name] = _num_bytes(tensors.values())
        return tensors, header

    @property
    def _whole_identity(self) -> dict[str, str]:
        return {"format": str(FORMAT), "torch": torch.__version__} | self.identity


def _places(digests: dict[str, str], old: _File | None) -> dict[str, str]:
    """The files that hold what did not change since the snapshot before, by tensor."""
    if old is None:
        return {}
    same = [name for name, digest in digests.items() if old.digests.get(name) == digest]
    return {name: old.places[name] for name in same}


def _digest(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}".encode())
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
