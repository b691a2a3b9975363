"""Named bytes under one storage address, on any back end that fsspec knows.

Local folders are in ``_local_blobs.py``; everything else is here.
"""

import contextlib
import logging
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from fsspec.callbacks import Callback

from erase_ray.errors import EraseError, StoreError
from erase_ray.experiment import _s3
from erase_ray.experiment._address import public_address, secrets_of
from erase_ray.experiment._entry import Entry, modified
from erase_ray.experiment._faults import is_conflict, is_refusal, way_out
from erase_ray.experiment._retry import Connection, GivenUp, StorageDownError

logger = logging.getLogger(__name__)

CONDITIONAL = ("s3", "s3a", "gs", "gcs", "memory")
"""Back ends where a put is atomic and can be made to fail if the name exists already."""

T = TypeVar("T")
Told = Callable[[int], None]
"""Is told how many bytes were just sent."""

# the in-memory back end looks first and writes then; threads must not come in between
_memory_lock = threading.Lock()


class Blobs:
    """The files of one storage address, by name relative to it (``cells/ab/abc/log.jsonl``).

    Whole files appear and are replaced atomically. Where the back end has no conditional put,
    :meth:`create` writes, waits ``settle_s`` seconds and reads back: the last writer wins.
    Operations that fail in passing are repeated (see ``_retry.py``); an answer may be lost after
    the storage did what it was asked, so whatever is repeated comes out the same.

    Args:
        fs: An fsspec file system.
        root: Path of the storage in ``fs``.
        address: What the user gave; never shown with its secrets.
        reopen: Makes ``fs`` anew, with fresh keys.
    """

    settle_s = 1.0

    def __init__(
        self, fs: Any, root: str, address: str, reopen: Callable[[], Any] | None = None
    ) -> None:
        self.connection = Connection(fs, reopen)
        self._root = root.rstrip("/")
        self._address = address
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        self._conditional = protocol in CONDITIONAL
        self._in_memory = protocol == "memory"
        self._on_s3 = protocol in ("s3", "s3a")

    @property
    def address(self) -> str:
        """The address for people, without secrets."""
        return public_address(self._address)

    @property
    def full_address(self) -> str:
        """The address with all it takes to open it again; do not show it."""
        return self._address

    @property
    def conditional(self) -> bool:
        """Whether a put can be made to fail if the name is taken."""
        return self._conditional

    def check_readable(self) -> None:
        """Raise StoreError unless the address exists and can be listed."""

        def look(fs: Any) -> None:
            if fs.ls(self._root, detail=False) == [self._root]:
                raise NotADirectoryError(f"{self._root} is a file")

        self._call("read", "the storage", look)

    def check_writable(self, conditional: bool | None = None) -> None:
        """Write and remove a small file, and learn whether puts can be conditional.

        Args:
            conditional: What was learnt before; nothing is asked then.

        Raises:
            StoreError: The address cannot be written.
        """
        if conditional is not None:
            self._conditional = conditional
            return
        probe = f".probe-{uuid.uuid4().hex}"
        self.write(probe, b"1")
        if self._conditional and self._create_once(probe, b"2"):
            logger.warning("%s has no conditional put; falling back to read-back", self.address)
            self._conditional = False
        self.remove(probe)

    def exists(self, name: str) -> bool:
        """True if there is a file of this name."""
        return self.size(name) is not None

    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is none."""

        def ask(fs: Any) -> int | None:
            if self._on_s3:
                return _s3.size(fs, self._path(name))
            info = fs.info(self._path(name))
            return info["size"] if info["type"] == "file" else None

        return self._call("read", name, _or_none(ask))

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if there is none."""

        def get(fs: Any) -> bytes:
            path = self._path(name)
            return _s3.read(fs, path) if self._on_s3 else fs.cat_file(path)

        return self._call("read", name, _or_none(get))

    def head(self, name: str, num_bytes: int) -> bytes | None:
        """The first bytes of a file that is not empty; None if there is none."""
        limits = {"start": 0, "end": num_bytes}  # S3 has another argument before these
        return self._call(
            "read", name, _or_none(lambda fs: fs.cat_file(self._path(name), **limits))
        )

    def move(self, name: str, new: str) -> None:
        """Give a file another name; its content does not travel over this machine on S3."""

        def rename(fs: Any) -> None:
            if not self._on_s3:
                fs.makedirs(self._path(new).rpartition("/")[0], exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another did it, or an earlier try
                fs.mv(self._path(name), self._path(new))

        self._call("write", new, rename)

    def write(self, name: str, data: bytes) -> None:
        """Put a file, over one of the same name if there is one."""
        self.write_all({name: data})

    def write_all(self, files: dict[str, bytes]) -> None:
        """Put several files, at once where the back end can."""
        largest = max(map(len, files.values()), default=0)

        def put(fs: Any) -> None:
            if self._conditional:
                paths = {self._path(name): data for name, data in files.items()}
                fs.pipe(paths, **self._part_options(largest))
                return
            for name, data in files.items():
                self._put_by_rename(fs, name, data)

        self._call("write", ", ".join(files), put)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file unless the name is taken; False if it is.

        What was put may seem taken when it is put again after its answer was lost. So content
        must differ from what others may put under this name, or it must not matter who did.
        """
        if self._create_once(name, data):
            return True
        return not self._in_memory and self.size(name) == len(data) and self.read(name) == data

    def append(self, name: str, data: bytes) -> None:
        """Add bytes to the end of a file that nobody else writes."""
        self.write(name, (self.read(name) or b"") + data)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        self._call("delete", name, _or_none(lambda fs: fs.rm_file(self._path(name))))

    def clear(self, folder: str) -> None:
        """Delete all files below ``folder``; nothing of it is left where folders are real."""
        for name in self.names(folder):
            self.remove(name)

    def names(self, folder: str) -> list[str]:
        """Names of all files below ``folder``, sorted; empty if there is no such folder."""
        found = self._call("list", folder, _or_none(lambda fs: fs.find(self._path(folder))))
        names = (path[len(self._root) + 1 :] for path in found or ())
        # some servers list a folder that is empty now as a file
        inside = (name for name in names if name != folder)
        return sorted(name for name in inside if not name.endswith(".tmp"))

    def entries(self, folder: str) -> list[Entry]:
        """Name, size and age of all files below ``folder``, hidden and temporary ones as well."""
        path, start = self._path(folder), len(self._root) + 1
        found = self._call("list", folder, _or_none(lambda fs: fs.find(path, detail=True))) or {}
        listed = [
            Entry(path[start:], info["size"] or 0, modified(info)) for path, info in found.items()
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

    def adopt(self, path: Path, name: str, once: bool = False, told: Told | None = None) -> None:
        """Move a local file from :meth:`scratch` to ``name``.

        Args:
            path: The file.
            name: Where it goes.
            once: The name follows from the content: leave what is there if it has this size.
            told: Called while the file is sent.
        """
        size = path.stat().st_size
        if once and self.size(name) == size:
            return
        options = {"callback": _Reporter(told)} | self._part_options(size)

        def put(fs: Any) -> None:
            if self._conditional:
                fs.put_file(str(path), self._path(name), **options)
                return
            spare = self._spare(name)
            fs.put_file(str(path), spare)
            fs.mv(spare, self._path(name))

        self._call("write", name, put)

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """A local path from which a file can be read inside the block; None if there is none."""
        with tempfile.TemporaryDirectory(prefix="erase_ray-") as folder:
            path = Path(folder) / "copy"

            def get(fs: Any) -> Path:
                fs.get_file(self._path(name), str(path))
                return path

            yield self._call("read", name, _or_none(get))

    def settle(self, folder: str = "") -> None:
        """Wait until all that was put below ``folder`` is in the storage; here it is at once.

        Raises:
            StoreError: Something could not be put.
        """

    def lost(self, folder: str) -> list[str]:
        """Names below ``folder`` that could not be put, since this was asked last."""
        return []

    def wait_for_room(self) -> bool:
        """Wait until the local disk has more room; False if waiting does not help."""
        return False

    @property
    def is_spooled(self) -> bool:
        """Whether files are kept on the local disk until they are in the storage."""
        return False

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _spare(self, name: str) -> str:
        folder, _, leaf = self._path(name).rpartition("/")
        return f"{folder}/.{leaf}.{uuid.uuid4().hex}.tmp"

    def _part_options(self, size: int) -> dict[str, Any]:
        return _s3.part_options(size) if self._on_s3 else {}

    def _put_by_rename(self, fs: Any, name: str, data: bytes) -> None:
        spare = self._spare(name)
        fs.makedirs(spare.rpartition("/")[0], exist_ok=True)
        fs.pipe_file(spare, data)
        fs.mv(spare, self._path(name))

    def _create_once(self, name: str, data: bytes) -> bool:
        def put(fs: Any) -> bool:
            if not self._conditional:
                return self._create_by_reading_back(fs, name, data)
            try:
                with _memory_lock if self._in_memory else contextlib.nullcontext():
                    options = self._part_options(len(data))
                    fs.pipe_file(self._path(name), data, mode="create", **options)
            except OSError as error:
                if is_refusal(error) or (is_conflict(error) and _is_there(fs, self._path(name))):
                    return False
                raise
            return True

        return self._call("write", name, put)

    def _create_by_reading_back(self, fs: Any, name: str, data: bytes) -> bool:
        if _is_there(fs, self._path(name)):
            return False
        self._put_by_rename(fs, name, data)
        time.sleep(self.settle_s)
        return _or_none(lambda fs: fs.cat_file(self._path(name)))(fs) == data

    def _call(self, verb: str, name: str, operation: Callable[[Any], T]) -> T:
        with self._errors(verb, name):
            return self.connection.call(operation)

    @contextlib.contextmanager
    def _errors(self, verb: str, name: str) -> Iterator[None]:
        # back ends raise their own families, not only OSError, and some quote the whole address
        try:
            yield
        except EraseError:
            raise
        except Exception as error:
            kind, cause, tries = StoreError, error, ""
            if isinstance(error, GivenUp) and isinstance(error.__cause__, Exception):
                kind, cause, tries = StorageDownError, error.__cause__, f" ({error})"
            reason = " ".join(str(cause).split()) or type(cause).__name__
            secrets = secrets_of(self._address)
            for secret in secrets:
                reason = reason.replace(secret, "***")
            text = f"cannot {verb} {name} at {self.address}: {reason}{tries}. {way_out(cause)}"
            raise kind(text) from (None if secrets else cause)


class _Reporter(Callback):
    """Passes on how much was sent."""

    def __init__(self, told: Told | None) -> None:
        super().__init__()
        self._told = told

    def relative_update(self, inc: int = 1) -> None:
        """So many bytes more."""
        if self._told:
            self._told(inc)


def _is_there(fs: Any, path: str) -> bool:
    """Like ``fs.exists``, which however takes every error for a no."""
    return _or_none(lambda fs: fs.info(path))(fs) is not None


def _or_none(operation: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """``operation``, but None if the file is not there."""

    def call(fs: Any) -> T | None:
        try:
            return operation(fs)
        except FileNotFoundError:
            return None

    return call
