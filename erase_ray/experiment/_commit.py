"""Folders that are there whole or not at all, whoever writes them and wherever they are killed.

A folder (a cell, a prepared dataset) is its files and ``manifest.json``, which names each with its
size and SHA-256. Its presence is the commit. Several writers may make the same folder; their files
differ (seconds, time stamps), so none may mix with another's. The protocol, without clocks or
leases:

1. If the manifest is there, stop.
2. Put all files *and* the manifest in one object, ``pending``, unless that name is taken. Whoever
   comes first has fixed the content for ever; the others read ``pending`` and carry on with that.
3. If the manifest is there now, stop.
4. Write the files, then the manifest, out of ``pending``.
5. Delete ``pending``.

A pending object other than the first can only be made after step 5 of someone, so after the
manifest; step 3 sees it. Hence whoever passes step 3 holds the *first* pending object, and everyone
writes the same bytes: it does not matter how often, in which order or how late. A writer killed
before step 2 leaves nothing; one killed later leaves a folder that shows nothing and that the next
writer completes. The price is writing the (small) files twice.

Requests may also be done without their answer arriving, and be sent again, even arrive late. A
pending object names its attempt, so a writer knows its own when it seems taken (``Blobs.create``);
manifests of one folder are the same whoever writes them. A late ``pending`` finds the manifest and
is litter; late files bring the bytes that are there.
"""

import hashlib
import json
import platform
import uuid
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from erase_ray.errors import StoreError
from erase_ray.experiment._address import scrubbed
from erase_ray.experiment.blobs import Blobs

MANIFEST = "manifest.json"
FORMAT = 1
"""Raised when the layout of the storage or of its manifests changes."""

_PENDING = "pending"
_ROUNDS = 10
_PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "safetensors", "erase-ray")


def commit(blobs: Blobs, folder: str, files: dict[str, bytes], facts: dict[str, Any]) -> bool:
    """Make ``folder`` with these files, and a manifest that holds ``facts`` as well.

    Returns:
        True if it now holds this writer's files, False if another writer came first.

    Raises:
        StoreError: The storage cannot be written, or holds a pending object that is not intact.
    """
    attempt = uuid.uuid4().hex
    manifest = f"{folder}/{MANIFEST}"
    own: bytes | None = None
    for _ in range(_ROUNDS):
        if blobs.exists(manifest):
            blobs.remove(f"{folder}/{_PENDING}")
            return read_manifest(blobs, folder).get("attempt") == attempt
        own = own or _pack(files | {MANIFEST: _manifest(files, facts, attempt)})
        packed = _claim(blobs, folder, own)
        if packed is not None and not blobs.exists(manifest):
            _publish(blobs, folder, packed)
    raise StoreError(f"{folder} at {blobs.address} changes all the time; is someone deleting it?")


def commit_copy(blobs: Blobs, folder: str, files: dict[str, bytes]) -> bool:
    """Make ``folder`` with these files, its manifest from elsewhere among them.

    Returns:
        False if the folder was there, or someone else had begun it with other files.

    Raises:
        StoreError: The storage cannot be written, or holds a pending object that is not intact.
    """
    manifest = f"{folder}/{MANIFEST}"
    is_there = blobs.exists(manifest)
    own = b"" if is_there else _pack(files)
    for _ in range(_ROUNDS):
        if blobs.exists(manifest):
            blobs.remove(f"{folder}/{_PENDING}")
            return not is_there and blobs.read(manifest) == files[MANIFEST]
        packed = _claim(blobs, folder, own)
        if packed is not None and not blobs.exists(manifest):
            _publish(blobs, folder, packed)
    raise StoreError(f"{folder} at {blobs.address} changes all the time; is someone deleting it?")


def read_manifest(blobs: Blobs, folder: str) -> dict[str, Any]:
    """The manifest of a committed folder.

    Raises:
        StoreError: There is none, or it is not a manifest of a known format.
    """
    data = blobs.read(f"{folder}/{MANIFEST}")
    if data is None:
        raise StoreError(f"{folder} is not at {blobs.address}; it has to be run first")
    try:
        manifest = json.loads(data)
        known = manifest["format"] == FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(_damaged(blobs, folder, MANIFEST)) from error
    if not known:
        raise StoreError(
            f"{folder} at {blobs.address} has format {manifest['format']}, this version reads "
            f"format {FORMAT}; use another storage address"
        )
    return manifest


def read_file(blobs: Blobs, folder: str, name: str, manifest: dict[str, Any]) -> bytes:
    """A file of a committed folder, checked against its manifest.

    Raises:
        StoreError: The file is missing or not the one that was committed.
    """
    if name not in manifest["files"]:
        raise StoreError(f"{folder} at {blobs.address} has no file {name}")
    data = blobs.read(f"{folder}/{name}")
    if data is None or _sha256(data) != manifest["files"][name]["sha256"]:
        raise StoreError(_damaged(blobs, folder, name))
    return data


def to_json(value: Any) -> bytes:
    """Readable JSON in a fixed order, without secrets; NumPy numbers are allowed."""
    text = json.dumps(scrubbed(value), indent=1, sort_keys=True, default=_plain)
    return (text + "\n").encode()


def to_json_lines(values: list[dict[str, Any]]) -> bytes:
    """One JSON value a line, without secrets; NumPy numbers are allowed."""
    lines = (json.dumps(scrubbed(value), default=_plain) + "\n" for value in values)
    return "".join(lines).encode()


def _claim(blobs: Blobs, folder: str, own: bytes) -> bytes | None:
    """The content fixed for ``folder``; None if it was committed in between."""
    pending = f"{folder}/{_PENDING}"
    return own if blobs.create(pending, own) else blobs.read(pending)


def _publish(blobs: Blobs, folder: str, packed: bytes) -> None:
    files = _unpack(blobs, folder, packed)
    manifest = files.pop(MANIFEST)
    blobs.write_all({f"{folder}/{name}": data for name, data in files.items()})
    blobs.create(f"{folder}/{MANIFEST}", manifest)


def _manifest(files: dict[str, bytes], facts: dict[str, Any], attempt: str) -> bytes:
    described = {name: {"sha256": _sha256(d), "size": len(d)} for name, d in files.items()}
    return to_json(
        facts
        | {
            "format": FORMAT,
            "files": described,
            "attempt": attempt,
            "created": datetime.now(UTC).isoformat(),
            "versions": _versions() | facts.get("versions", {}),
        }
    )


def _pack(files: dict[str, bytes]) -> bytes:
    return safetensors.numpy.save({k: np.frombuffer(v, np.uint8) for k, v in files.items()})


def _unpack(blobs: Blobs, folder: str, packed: bytes) -> dict[str, bytes]:
    try:
        files = {k: v.tobytes() for k, v in safetensors.numpy.load(packed).items()}
        described = json.loads(files[MANIFEST])["files"]
        intact = all(_sha256(files[name]) == described[name]["sha256"] for name in described)
    except (SafetensorError, KeyError, ValueError, TypeError):
        intact = False
    if not intact:
        raise StoreError(_damaged(blobs, folder, _PENDING))
    return files


def _damaged(blobs: Blobs, folder: str, name: str) -> str:
    return (
        f"{folder}/{name} at {blobs.address} is missing or not what was committed (wrong SHA-256)."
        f" Delete the folder {folder} and run the same command again"
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
