"""Torch's checkpoints since 1.6: a zip archive of one pickle and one file a storage."""

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from erase_ray.imports._globals import finder
from erase_ray.imports._legacy import nested_storage
from erase_ray.imports._limits import Budget, Limits
from erase_ray.imports._machine import Machine
from erase_ray.imports._tensors import Storage, StorageKind
from erase_ray.imports.errors import ForeignFileError

MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1


class Archive:
    """The members of a checkpoint, none of which is ever written to disk.

    Args:
        path: For errors.
        file: The open file.

    Raises:
        ForeignFileError: It is no such archive, is compressed or encrypted, claims more bytes than
            it has, or has names that lead elsewhere.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._name = path.name
        size = file.seek(0, io.SEEK_END)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise self._error(f"is damaged or cut off ({error})") from error
        members = self._zip.infolist()
        pickles = [m for m in members if m.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].filename.count("/") != 1:
            raise self._error("is a zip archive, but no checkpoint of torch")
        self._prefix = pickles[0].filename.removesuffix("data.pkl")
        self._members = {m.filename: m for m in members}
        self._check(members, size)

    def _check(self, members: list[zipfile.ZipInfo], size: int) -> None:
        if len(self._members) != len(members):
            raise self._error("has two members of one name")
        for member in members:
            name = member.filename
            if name != member.orig_filename or "\\" in name or name.startswith("/"):
                raise self._error(f"has a member of the name {name[:80]!r}")
            if not name.startswith(self._prefix) or ".." in name.split("/"):
                raise self._error(f"has a member outside its folder, {name[:80]!r}")
            if name.startswith(f"{self._prefix}code/"):
                raise self._error("is a program of TorchScript, not weights")
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & _ENCRYPTED:
                raise self._error(f"has the compressed or encrypted member {name[:80]!r}")
            if member.compress_size != member.file_size:
                raise self._error(f"is damaged: two sizes of {name[:80]!r}")
        if sum(member.file_size for member in members) > size:
            raise self._error("claims to hold more bytes than it has")
        order = self._members.get(f"{self._prefix}byteorder")
        if order is not None and self.read("byteorder") != b"little":
            raise self._error("was written by a machine of another byte order")

    def size(self, name: str) -> int:
        """Bytes of a member.

        Raises:
            ForeignFileError: There is none of this name.
        """
        member = self._members.get(self._prefix + name)
        if member is None:
            raise self._error(f"has no member {name[:80]!r}")
        return member.file_size

    def read(self, name: str) -> bytearray:
        """The bytes of a member, which agree with its checksum."""
        data = bytearray(self.size(name))
        try:
            with self._zip.open(self._prefix + name) as opened:
                member: Any = opened
                count = 0
                while more := member.readinto(memoryview(data)[count:]):
                    count += more
                member.read(1)  # the checksum is compared at the end
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise self._error(f"is damaged: {error}") from error
        if count != len(data):
            raise self._error(f"is cut off in {name[:80]!r}")
        return data

    def _error(self, text: str) -> ForeignFileError:
        return ForeignFileError(f"{self._name} {text}")


def read_archive(path: Path, file: BinaryIO, limits: Limits) -> Any:
    """The value in a checkpoint; see :func:`erase_ray.imports.unpickle.read`."""
    archive = Archive(path, file)
    num_bytes = archive.size("data.pkl")
    if num_bytes > limits.pickle_bytes:
        raise ForeignFileError(
            f"{path.name} holds a pickle of {num_bytes} bytes, more than is read"
        )
    storages: dict[str, Storage] = {}

    def persistent(given: Any) -> Storage:
        kind, key, num = _storage_id(path.name, given)
        size = num * kind.dtype.itemsize
        held = archive.size(f"data/{key}")
        if size != held:
            raise ForeignFileError(
                f"{path.name}: storage {key} has {held} bytes, its pickle says {size}"
            )
        known = storages.get(key)
        if known is None:
            known = Storage(kind.dtype, size, lambda: archive.read(f"data/{key}"))
            storages[key] = known
        if known.dtype != kind.dtype:
            raise ForeignFileError(f"{path.name}: storage {key} has two number types")
        return known

    budget = Budget(path.name, 16 * num_bytes + limits.slack_bytes)
    find = finder(path.name, nested_storage(path.name, limits))
    machine = Machine(path.name, find, persistent, budget, limits)
    return machine.run(io.BytesIO(archive.read("data.pkl")))


def _storage_id(name: str, given: Any) -> tuple[StorageKind, str, int]:
    """Kind, key and number of values of ``('storage', kind, key, place, number)``."""
    is_known = (
        type(given) is tuple
        and len(given) == 5
        and given[0] == "storage"
        and isinstance(given[1], StorageKind)
        and type(given[2]) is str
        and given[2].isdigit()
        and type(given[4]) is int
        and 0 <= given[4] < 1 << 48
    )
    if not is_known:
        raise ForeignFileError(f"{name} has a persistent id that names no storage of torch")
    return given[1], given[2], given[4]
