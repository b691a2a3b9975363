"""Weights by the SHA-256 of their safetensors file, whole or as row deltas against a parent.

Metadata of a file is one JSON text under one key, because safetensors does not keep several keys
in a fixed order and equal weights must give equal bytes.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from erase_ray.errors import StoreError
from erase_ray.experiment._deltas import difference, patched, size_bytes
from erase_ray.experiment.blobs import Blobs

MAX_DEPTH = 8
"""Longest chain of deltas; the next one is written as a full copy."""

_KEY = "erase_ray"
_FULL: dict[str, Any] = {"kind": "full", "depth": 0}
_SHA = re.compile("[0-9a-f]{64}")


def put_weights(blobs: Blobs, tensors: dict[str, Tensor], parent: str | None = None) -> str:
    """Store weights and return their name.

    With a parent only what differs from it is written, if that is smaller. Weights that equal
    the parent's get the parent's name; content that is there already is not written again.

    Args:
        blobs: The storage.
        tensors: Weights by name, any shape and dtype that safetensors knows, on any device.
        parent: Name of stored weights.

    Raises:
        StoreError: The parent is missing or corrupt, or the storage cannot be written.
    """
    plain = separate(tensors)
    if parent is None:
        return _save(blobs, plain, _FULL)
    old, header = _load(blobs, parent, verify=True)
    same, parts = difference(plain, old)
    if not parts and len(same) == len(old):
        return parent
    if header["depth"] >= MAX_DEPTH or size_bytes(parts) >= size_bytes(plain):
        return _save(blobs, plain, _FULL)
    depth = header["depth"] + 1
    return _save(blobs, parts, {"kind": "delta", "depth": depth, "parent": parent, "same": same})


def get_weights(blobs: Blobs, sha: str, verify: bool = True) -> dict[str, Tensor]:
    """Stored weights, bit for bit, by name in alphabetical order, on the CPU.

    Tensors of a local storage are maps of the file (editing them does not touch it), so loading
    costs nothing until they are read. Their memory need not be aligned to 64 bytes: copy them
    (``load_state_dict`` does) before arithmetic whose last bit matters.

    Raises:
        StoreError: The weights, or a parent of theirs, are missing or corrupt.
    """
    return _load(blobs, sha, verify)[0]


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
    with blobs.scratch("weights/new") as path:
        save_file(tensors, str(path), metadata={_KEY: text})
        sha = _sha256(path)
        name = _name(sha)
        if blobs.size(name) != path.stat().st_size:
            blobs.adopt(path, name)
    return sha


def _load(
    blobs: Blobs, sha: str, verify: bool, depth: int = 0
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if depth > MAX_DEPTH:
        raise StoreError(f"{_name(sha)} at {blobs.address}: more than {MAX_DEPTH} deltas in a row")
    tensors, header = _read(blobs, sha, verify)
    if header["kind"] == "full":
        return tensors, header
    parent, _ = _load(blobs, header["parent"], verify, depth + 1)
    return patched(parent, header["same"], tensors), header


def _read(blobs: Blobs, sha: str, verify: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with blobs.local(_name(sha)) as path:
        if path is None:
            raise StoreError(
                f"{_name(sha)} is not at {blobs.address}. Delete the cells whose manifests name "
                "it and run the same command again"
            )
        if verify and _sha256(path) != sha:
            raise StoreError(_corrupt(blobs, sha, "its bytes do not have the SHA-256 of its name"))
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})[_KEY])
                return {name: file.get_tensor(name) for name in sorted(file.keys())}, header
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
