"""Weights by the SHA-256 of their safetensors file, whole or as differences from a parent.

Kinds of files: ``full``, the tensors as they are; ``packed``, see ``_packed.py``; ``delta``, whole
rows that differ, which earlier versions wrote and this one reads.

Metadata of a file is one JSON text under one key, because safetensors does not keep several keys
in a fixed order and equal weights must give equal bytes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from erase_ray.errors import StoreError
from erase_ray.experiment._deltas import patched, size_bytes
from erase_ray.experiment._packed import packed, unpacked
from erase_ray.experiment._tensor_files import put_tensors, sha256
from erase_ray.experiment.blobs import Blobs

MAX_DEPTH = 8
"""Longest chain of differences; the next one is taken from the full copy that it began with."""

TRASH = "trash"
"""Folder of weights that were swept and are not deleted yet."""

_KEY = "erase_ray"
_FULL: dict[str, Any] = {"kind": "full", "depth": 0}
_SHA = re.compile("[0-9a-f]{64}")


def put_weights(blobs: Blobs, tensors: dict[str, Tensor], parent: str | None = None) -> str:
    """Store weights and return their name.

    Without a parent the file is a full copy that needs no other. With one only what differs is
    written, packed: from the parent, or from the full copy that the parent itself goes back to,
    whichever is smaller; or a full copy, if that is no larger. Weights that equal the parent's get
    the parent's name; content that is there already is not written again.

    Args:
        blobs: The storage.
        tensors: Weights by name, any shape and dtype that safetensors knows, on any device.
        parent: Name of stored weights, such as those of the mark before.

    Raises:
        StoreError: The parent is missing or corrupt, or the storage cannot be written.
    """
    plain = separate(tensors)
    if parent is None:
        return _save(blobs, plain, _FULL)
    line = _line(blobs, parent, verify=True)
    best: tuple[dict[str, Any], dict[str, Tensor]] = (_FULL, plain)
    for origin in _origins(blobs, line):
        facts, parts = packed(plain, origin.tensors)
        if not parts and len(facts["same"]) == len(origin.tensors):
            return origin.sha
        if size_bytes(parts) < size_bytes(best[1]):
            own = {"kind": "packed", "depth": origin.depth + 1, "parent": origin.sha}
            best = own | facts, parts
    return _save(blobs, best[1], best[0])


def get_weights(blobs: Blobs, sha: str, verify: bool = True) -> dict[str, Tensor]:
    """Stored weights, bit for bit, by name in alphabetical order, on the CPU.

    Tensors of a local storage are maps of the file (editing them does not touch it), so loading
    a full copy costs nothing until they are read. Their memory need not be aligned to 64 bytes:
    copy them (``load_state_dict`` does) before arithmetic whose last bit matters.

    Raises:
        StoreError: The weights, or a parent of theirs, are missing or corrupt.
    """
    tensors: dict[str, Tensor] = {}
    for file in _line(blobs, sha, verify):
        tensors = _applied(blobs, tensors, file)
    return tensors


@dataclass(frozen=True, eq=False)
class _File:
    """A stored file; ``tensors`` are the weights if its kind is full, else parts of them."""

    sha: str
    header: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def depth(self) -> int:
        return self.header["depth"]


def _line(blobs: Blobs, sha: str, verify: bool) -> list[_File]:
    """The files that weights are made of, the full copy first."""
    line = [_read(blobs, sha, verify)]
    while line[0].header["kind"] != "full":
        if len(line) > MAX_DEPTH:
            raise StoreError(
                f"{_name(sha)} at {blobs.address}: more than {MAX_DEPTH} deltas in a row"
            )
        line.insert(0, _read(blobs, line[0].header["parent"], verify))
    return line


def _origins(blobs: Blobs, line: list[_File]) -> Iterator[_File]:
    """Whole weights to take differences from: the full copy, and the last of the line."""
    yield line[0]
    if 1 < len(line) <= MAX_DEPTH:
        # the full copy is looked at no more, so its tensors may be edited in place
        tensors = line[0].tensors
        for file in line[1:]:
            tensors = _applied(blobs, tensors, file)
        yield replace(line[-1], tensors=tensors)


def _applied(blobs: Blobs, tensors: dict[str, Tensor], file: _File) -> dict[str, Tensor]:
    """The weights of a file; ``tensors`` are those of its parent, and are edited in place."""
    header = file.header
    try:
        if header["kind"] == "full":
            return file.tensors
        if header["kind"] == "delta":
            return patched(tensors, header["same"], file.tensors)
        return unpacked(tensors, header, file.tensors)
    except (StoreError, KeyError, ValueError, IndexError) as error:
        raise StoreError(_corrupt(blobs, file.sha, str(error))) from error


def separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sorted by name, contiguous, on the CPU, and none sharing memory with another."""
    plain: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return plain


def _save(blobs: Blobs, tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    text = json.dumps(header, sort_keys=True)
    return put_tensors(blobs, tensors, {_KEY: text}, _name)


def _read(blobs: Blobs, sha: str, verify: bool) -> _File:
    with blobs.local(_name(sha)) as path:
        if path is not None:
            return _opened(blobs, sha, path, verify)
    for name in blobs.names(TRASH):  # nobody named it for a while, and it was swept; see gc.py
        if name.endswith(f"/{sha}"):
            with blobs.local(name) as path:
                if path is not None:
                    return _opened(blobs, sha, path, verify)
    raise StoreError(
        f"{_name(sha)} is not at {blobs.address}. Delete the cells whose manifests name "
        "it and run the same command again"
    )


def _opened(blobs: Blobs, sha: str, path: Path, verify: bool) -> _File:
    if verify and sha256(path) != sha:
        raise StoreError(_corrupt(blobs, sha, "its bytes do not have the SHA-256 of its name"))
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
            return _File(sha, header, tensors)
    except (SafetensorError, KeyError, ValueError) as error:
        raise StoreError(_corrupt(blobs, sha, str(error))) from error


def _corrupt(blobs: Blobs, sha: str, reason: str) -> str:
    return (
        f"{_name(sha)} at {blobs.address} is corrupt: {reason}. Delete it and the cells whose "
        "manifests name it, and run the same command again"
    )


def _name(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        raise StoreError(f"'{sha}' is no name of weights; expected 64 hexadecimal digits")
    return f"weights/{sha}"
