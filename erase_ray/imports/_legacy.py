"""Torch's checkpoints before 1.6: pickles one after the other, then the storages."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

from erase_ray.imports._globals import finder
from erase_ray.imports._limits import Budget, Limits
from erase_ray.imports._machine import Machine
from erase_ray.imports._tensors import Storage, StorageKind
from erase_ray.imports.errors import ForeignFileError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
LENGTH_BYTES = 8
_START = 64


class _Storages:
    """The storages that persistent ids name.

    They lie behind the pickle that names them, so each is first a row of zeros, no longer than the
    file, and is filled in place afterwards.
    """

    def __init__(self, name: str, most_bytes: int) -> None:
        self._name, self._left = name, most_bytes
        self._known: dict[str, tuple[Storage, bytearray]] = {}

    def named(self, given: Any) -> Storage:
        """The storage of ``('storage', kind, key, place, number, None)``."""
        if not _is_storage_id(given):
            raise ForeignFileError(f"{self._name} has a persistent id that names no storage")
        _, kind, key, _, number, _ = given
        size = number * kind.dtype.itemsize
        if key not in self._known:
            self._left -= size
            if self._left < 0:
                raise ForeignFileError(f"{self._name} names more numbers than it has bytes")
            data = bytearray(size)
            self._known[key] = (Storage(kind.dtype, size, lambda: data), data)
        found, _ = self._known[key]
        if (found.dtype, found.num_bytes) != (kind.dtype, size):
            raise ForeignFileError(f"{self._name}: storage {key[:20]!r} has two sizes or types")
        return found

    def fill(self, keys: Any, file: BinaryIO) -> None:
        """Read the storages, in the order of ``keys``, up to the end of the file."""
        if type(keys) is not list or len(keys) != len(self._known) or set(keys) - set(self._known):
            raise ForeignFileError(f"{self._name} is damaged: its list of storages is another")
        for key in keys:
            storage, data = self._known.pop(key)
            count = int.from_bytes(file.read(LENGTH_BYTES), "little", signed=True)
            if count * storage.dtype.itemsize != storage.num_bytes:
                raise ForeignFileError(
                    f"{self._name}: storage {key[:20]!r} has {count} numbers, its pickle says "
                    f"{storage.num_bytes // storage.dtype.itemsize}"
                )
            data[:] = _exactly(self._name, file, storage.num_bytes)
        if file.read(1):
            raise ForeignFileError(f"{self._name} goes on behind its last storage")


def begins_like(file: BinaryIO) -> bool:
    """Whether a file begins with the magic number; it is left at its begin."""
    start = file.read(_START)
    file.seek(0)
    return MAGIC.to_bytes(10, "little") in start


def read_legacy(name: str, file: BinaryIO, budget: Budget, limits: Limits) -> Any:
    """The value in an old checkpoint; see :func:`erase_ray.imports.unpickle.read`."""
    storages = _Storages(name, file.seek(0, io.SEEK_END))
    file.seek(0)
    find = finder(name, nested_storage(name, limits))

    def run(persistent: Callable[[Any], Any]) -> Any:
        return Machine(name, find, persistent, budget, limits).run(file)

    if run(no_persistent(name)) != MAGIC or run(no_persistent(name)) != VERSION:
        raise ForeignFileError(f"{name} is no checkpoint of torch of a known version")
    about = run(no_persistent(name))
    if type(about) is not dict or about.get("little_endian") is not True:
        raise ForeignFileError(f"{name} was written by a machine of another byte order")
    value = run(storages.named)
    storages.fill(run(no_persistent(name)), file)
    return value


def nested_storage(name: str, limits: Limits) -> Callable[[bytes, Budget], Storage]:
    """Reads the storage of a tensor that was pickled without torch's own format around it."""

    def load(data: bytes, budget: Budget) -> Storage:
        if budget.nested:
            raise ForeignFileError(f"{name} holds a file in a file in a file")
        budget.charge(len(data))
        inner = replace(budget, nested=True)
        found = read_legacy(name, io.BytesIO(data), inner, limits)
        if not isinstance(found, Storage):
            raise ForeignFileError(f"{name} holds a file that is no storage of torch")
        return found

    return load


def no_persistent(name: str) -> Callable[[Any], Any]:
    """Refuses all persistent ids."""

    def refuse(given: Any) -> Any:
        raise ForeignFileError(f"{name} has a persistent id where there can be none")

    return refuse


def _is_storage_id(given: Any) -> bool:
    return (
        type(given) is tuple
        and len(given) == 6
        and given[0] == "storage"
        and isinstance(given[1], StorageKind)
        and type(given[2]) is str
        and type(given[4]) is int
        and 0 <= given[4] < 1 << 48
        and given[5] is None
    )


def _exactly(name: str, file: BinaryIO, num_bytes: int) -> bytes:
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise ForeignFileError(f"{name} is cut off in its storages")
    return data
