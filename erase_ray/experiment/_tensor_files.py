"""Tensors in a file whose name follows from its content."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
from torch import Tensor

from erase_ray.errors import StoreError
from erase_ray.experiment import _spool_folder
from erase_ray.experiment._faults import is_full
from erase_ray.experiment.blobs import Blobs

logger = logging.getLogger(__name__)


def put_tensors(
    blobs: Blobs,
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    name: Callable[[str], str],
    once: bool = True,
) -> str:
    """Store tensors as a safetensors file.

    Where files wait on the local disk until they are sent and that disk is full, this waits until
    some have been, and then sends past the disk.

    Args:
        blobs: The storage.
        tensors: None of them sharing memory with another.
        metadata: Of the file; with more than one entry its bytes are not always the same.
        name: Makes the file's name from its SHA-256.
        once: Leave a file of this name and size alone.

    Returns:
        The SHA-256.

    Raises:
        StoreError: It cannot be written.
    """
    while True:
        try:
            return _put_file(blobs, tensors, metadata, name, once)
        except Exception as error:
            if not is_full(error):
                raise
            if blobs.wait_for_room():
                continue
            if not blobs.is_spooled:
                raise _full(blobs, error) from error
        return _put_bytes(blobs, tensors, metadata, name)


def sha256(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_file(
    blobs: Blobs,
    tensors: dict[str, Tensor],
    metadata: dict[str, str],
    name: Callable[[str], str],
    once: bool,
) -> str:
    with blobs.scratch(f"{name('0' * 64).rpartition('/')[0]}/new") as path:
        safetensors.torch.save_file(tensors, str(path), metadata=metadata)
        digest = sha256(path)
        blobs.adopt(path, name(digest), once)
    return digest


def _put_bytes(
    blobs: Blobs, tensors: dict[str, Tensor], metadata: dict[str, str], name: Callable[[str], str]
) -> str:
    place = _spool_folder.base()
    logger.warning("no room in the spool folder %s; the file is sent past it", place)
    try:
        data = safetensors.torch.save(tensors, metadata)
    except MemoryError as error:
        raise StoreError(
            f"no room in the spool folder {place}, and no memory to do without. Free some space, "
            f"or set {_spool_folder.PLACE} to a folder with room, and run the same command again"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    blobs.write(name(digest), data)
    return digest


def _full(blobs: Blobs, error: Exception) -> StoreError:
    if isinstance(error, StoreError):
        return error
    return StoreError(
        f"cannot write to {blobs.address}: {error}. Free some space and run the same command again"
    )
