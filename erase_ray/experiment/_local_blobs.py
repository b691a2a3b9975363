"""Named bytes in a local folder, written so that neither a kill nor a power cut leaves half."""

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from erase_ray.experiment.blobs import Blobs, Entry, Told

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_STALE_S = 86_400.0


class LocalBlobs(Blobs):
    """The files of a local folder.

    A file is written under a hidden name beside its place, flushed to the disk and renamed;
    :meth:`create` makes a hard link instead, which fails if the name is taken.
    """

    def __init__(self, fs: Any, root: str, address: str) -> None:
        super().__init__(fs, root, address)
        self._folder = Path(root)

    def check_writable(self, conditional: bool | None = None) -> None:
        """Make the folder if need be, and write and remove a small file in it."""
        with self._errors("write", "the storage"):
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / f".probe-{uuid.uuid4().hex}"
            probe.touch()
            probe.unlink()

    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is none."""
        path = self._folder / name
        with self._errors("read", name):
            try:
                return path.stat().st_size if path.is_file() else None
            except FileNotFoundError:
                return None

    def write_all(self, files: dict[str, bytes]) -> None:
        """Put several files, one after the other."""
        for name, data in files.items():
            with self.scratch(name) as spare, self._errors("write", name):
                _write(spare, data)
                os.replace(spare, self._folder / name)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file unless the name is taken; what was written before reaches the disk first."""
        path = self._folder / name
        with self.scratch(name) as spare, self._errors("write", name):
            _write(spare, data)
            _sync_folder(path.parent)
            try:
                _link(spare, path)
            except FileExistsError:
                return False
            _sync_folder(path.parent)
            return True

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to the end of a file in one system call."""
        path = self._folder / name
        with self._errors("write", name):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, data)
            finally:
                os.close(file)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        with self._errors("delete", name):
            (self._folder / name).unlink(missing_ok=True)

    def clear(self, folder: str) -> None:
        """Delete ``folder``, with what killed writers left in it."""
        with self._errors("delete", folder), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder / folder)

    def names(self, folder: str) -> list[str]:
        """Names of all files below ``folder``, sorted; empty if there is no such folder."""
        with self._errors("list", folder):
            paths = [path for path in (self._folder / folder).rglob("*") if path.is_file()]
            names = (path.relative_to(self._folder).as_posix() for path in paths)
            return sorted(name for name in names if not name.endswith(".tmp"))

    def entries(self, folder: str) -> list[Entry]:
        """Name, size and age of all files below ``folder``, hidden and temporary ones as well."""
        with self._errors("list", folder):
            start = len(str(self._folder)) + 1
            found = _files(str(self._folder / folder), start)
            return sorted(found, key=lambda entry: entry.name)

    def ending_in(self, folder: str, leaf: str) -> list[str]:
        """Names of all files called ``leaf`` two folders below ``folder``."""
        with self._errors("list", folder):
            inner = [below for top in _folders(self._folder / folder) for below in _folders(top)]
            found = [path for path in inner if os.path.exists(f"{path}/{leaf}")]
        return sorted(f"{os.path.relpath(path, self._folder)}/{leaf}" for path in found)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A hidden path beside ``name``; what is left of it afterwards is removed."""
        path = self._folder / name
        with self._errors("write", name):
            path.parent.mkdir(parents=True, exist_ok=True)
        spare = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            yield spare
        finally:
            spare.unlink(missing_ok=True)

    def adopt(self, path: Path, name: str, once: bool = False, told: Told | None = None) -> None:
        """Move a file from :meth:`scratch` to ``name``, and clear what killed writers left."""
        if once and self.size(name) == path.stat().st_size:
            return
        with self._errors("write", name):
            _sync_file(path)
            os.replace(path, self._folder / name)
            _sync_folder((self._folder / name).parent)
            _clear_stale((self._folder / name).parent)

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """The path of the file itself; None if there is none."""
        yield self._folder / name if self.exists(name) else None


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link(spare: Path, path: Path) -> None:
    try:
        os.link(spare, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_under_lock(spare, path)


def _rename_under_lock(spare: Path, path: Path) -> None:
    # for file systems without hard links (FAT, some FUSE mounts); the lock dies with its holder
    import fcntl

    handle = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists already", str(path))
        os.replace(spare, path)
    finally:
        os.close(handle)


def _files(folder: str, start: int) -> Iterator[Entry]:
    """All files below a folder, named from the character ``start`` of their paths on."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path, start)
                continue
            with contextlib.suppress(FileNotFoundError):
                known = entry.stat()
                yield Entry(entry.path[start:], known.st_size, known.st_mtime)


def _folders(folder: Path | str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _clear_stale(folder: Path) -> None:
    oldest = time.time() - _STALE_S
    for spare in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if spare.stat().st_mtime < oldest:
                spare.unlink()
