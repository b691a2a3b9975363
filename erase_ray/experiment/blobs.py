"""Named bytes under one storage address, on any back end that fsspec knows.

Local folders are in ``_local_blobs.py``; everything else is here.
"""

import contextlib
import errno
import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from erase_ray.errors import EraseError, StoreError
from erase_ray.experiment._address import public_address, secrets_of

logger = logging.getLogger(__name__)

CONDITIONAL = ("s3", "s3a", "gs", "gcs", "memory")
"""Back ends where a put is atomic and can be made to fail if the name exists already."""

_REFUSED = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
# the in-memory back end looks first and writes then; threads must not come in between
_memory_lock = threading.Lock()


@dataclass(frozen=True)
class Entry:
    """A file of the storage in a listing.

    Args:
        name: Relative to the storage address.
        size: Bytes.
        modified: Seconds since 1970 by the clock of the storage.
    """

    name: str
    size: int
    modified: float


class Blobs:
    """The files of one storage address, by name relative to it (``cells/ab/abc/log.jsonl``).

    Whole files appear and are replaced atomically. Where the back end has no conditional put,
    :meth:`create` writes, waits ``settle_s`` seconds and reads back: the last writer wins.

    Args:
        fs: An fsspec file system.
        root: Path of the storage in ``fs``.
        address: What the user gave; never shown with its secrets.
    """

    settle_s = 1.0

    def __init__(self, fs: Any, root: str, address: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._address = address
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        self._conditional = protocol in CONDITIONAL
        self._in_memory = protocol == "memory"

    @property
    def address(self) -> str:
        """The address for people, without secrets."""
        return public_address(self._address)

    @property
    def full_address(self) -> str:
        """The address with all it takes to open it again; do not show it."""
        return self._address

    def check_readable(self) -> None:
        """Raise StoreError unless the address exists and can be listed."""
        with self._errors("read", "the storage"):
            if self._fs.ls(self._root, detail=False) == [self._root]:
                raise NotADirectoryError(f"{self._root} is a file")

    def check_writable(self) -> None:
        """Write and remove a small file, and learn whether puts can be conditional.

        Raises:
            StoreError: The address cannot be written.
        """
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"1")
        if self._conditional and self.create(probe, b"2"):
            logger.warning("%s has no conditional put; falling back to read-back", self.address)
            self._conditional = False
        self.remove(probe)

    def exists(self, name: str) -> bool:
        """True if there is a file of this name."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is none."""
        with self._errors("read", name):
            try:
                info = self._fs.info(self._path(name))
            except FileNotFoundError:
                return None
            return info["size"] if info["type"] == "file" else None

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if there is none."""
        with self._errors("read", name):
            try:
                return self._fs.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Put a file, over one of the same name if there is one."""
        self.write_all({name: data})

    def write_all(self, files: dict[str, bytes]) -> None:
        """Put several files, at once where the back end can."""
        with self._errors("write", ", ".join(files)):
            if self._conditional:
                self._fs.pipe({self._path(name): data for name, data in files.items()})
                return
            for name, data in files.items():
                self._put_by_rename(name, data)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file unless the name is taken; False if it is."""
        with self._errors("write", name):
            if not self._conditional:
                return self._create_by_reading_back(name, data)
            try:
                with _memory_lock if self._in_memory else contextlib.nullcontext():
                    self._fs.pipe_file(self._path(name), data, mode="create")
            except OSError as error:
                if _is_refusal(error):
                    return False
                raise
            return True

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to the end of a file that nobody else writes."""
        self.write(name, (self.read(name) or b"") + data)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        with self._errors("delete", name), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def clear(self, folder: str) -> None:
        """Delete all files below ``folder``; nothing of it is left where folders are real."""
        for name in self.names(folder):
            self.remove(name)

    def names(self, folder: str) -> list[str]:
        """Names of all files below ``folder``, sorted; empty if there is no such folder."""
        with self._errors("list", folder):
            try:
                found = self._fs.find(self._path(folder))
            except FileNotFoundError:
                return []
        names = (path[len(self._root) + 1 :] for path in found)
        # some servers list a folder that is empty now as a file
        inside = (name for name in names if name != folder)
        return sorted(name for name in inside if not name.endswith(".tmp"))

    def entries(self, folder: str) -> list[Entry]:
        """Name, size and age of all files below ``folder``, hidden and temporary ones as well."""
        with self._errors("list", folder):
            try:
                found = self._fs.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
        start = len(self._root) + 1
        listed = [
            Entry(path[start:], info["size"] or 0, _modified(info)) for path, info in found.items()
        ]
        return sorted((e for e in listed if e.name != folder), key=lambda entry: entry.name)

    def ending_in(self, folder: str, leaf: str) -> list[str]:
        """Names of all files called ``leaf`` two folders below ``folder``, in one listing."""
        wanted = folder.count("/") + 3
        names = self.names(folder)
        return [n for n in names if n.endswith(f"/{leaf}") and n.count("/") == wanted]

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A local path to write what will be moved to ``name`` by :meth:`adopt`."""
        with tempfile.TemporaryDirectory(prefix="erase_ray-") as folder:
            yield Path(folder) / "scratch"

    def adopt(self, path: Path, name: str) -> None:
        """Move a local file from :meth:`scratch` to ``name``."""
        with self._errors("write", name):
            if self._conditional:
                self._fs.put_file(str(path), self._path(name))
                return
            spare = self._spare(name)
            self._fs.put_file(str(path), spare)
            self._fs.mv(spare, self._path(name))

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """A local path from which a file can be read inside the block; None if there is none."""
        with tempfile.TemporaryDirectory(prefix="erase_ray-") as folder:
            path = Path(folder) / "copy"
            with self._errors("read", name):
                try:
                    self._fs.get_file(self._path(name), str(path))
                except FileNotFoundError:
                    path = None
            yield path

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _spare(self, name: str) -> str:
        folder, _, leaf = self._path(name).rpartition("/")
        return f"{folder}/.{leaf}.{uuid.uuid4().hex}.tmp"

    def _put_by_rename(self, name: str, data: bytes) -> None:
        spare = self._spare(name)
        self._fs.makedirs(spare.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(spare, data)
        self._fs.mv(spare, self._path(name))

    def _create_by_reading_back(self, name: str, data: bytes) -> bool:
        if self.exists(name):
            return False
        self._put_by_rename(name, data)
        time.sleep(self.settle_s)
        return self.read(name) == data

    @contextlib.contextmanager
    def _errors(self, verb: str, name: str) -> Iterator[None]:
        # back ends raise their own families, not only OSError, and some quote the whole address
        try:
            yield
        except EraseError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            secrets = secrets_of(self._address)
            for secret in secrets:
                reason = reason.replace(secret, "***")
            text = f"cannot {verb} {name} at {self.address}: {reason}. {_way_out(error)}"
            raise StoreError(text) from (None if secrets else error)


def _modified(info: dict[str, Any]) -> float:
    """Time of the last change in a listing of a back end, each of which has a name for it."""
    keys = ("LastModified", "mtime", "last_modified", "updated", "created")
    value = next((info[key] for key in keys if info.get(key) is not None), 0.0)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, FileExistsError):
        return True
    response = getattr(error.__cause__, "response", None) or {}
    codes = (response.get("Error", {}).get("Code"), getattr(error, "code", None))
    return any(str(code) in _REFUSED for code in codes)


def _way_out(error: Exception) -> str:
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "Check the credentials and what they are allowed to do"
    if isinstance(error, FileNotFoundError):
        return "Create the bucket or folder first, or correct the address"
    if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
        return "A file stands where a folder is needed (or the reverse); give another address"
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and run the same command again"
    return "Check the address, the network and, for S3, AWS_ENDPOINT_URL"
