"""A remote storage whose large files arrive a little later."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from erase_ray.experiment import _spool_folder
from erase_ray.experiment._spool import Spool, spool_of
from erase_ray.experiment.blobs import Blobs, Told


class SpooledBlobs(Blobs):
    """The files of ``inner``, where :meth:`adopt` returns before the file is there.

    Reading sees what is on its way; other processes do not before :meth:`settle`.
    """

    def __init__(self, inner: Blobs) -> None:
        super().__init__(inner.connection.fs, inner._root, inner.full_address)
        self.connection = inner.connection
        self._conditional = inner.conditional
        self._inner = inner

    @property
    def is_spooled(self) -> bool:
        """True."""
        return True

    @property
    def _spool(self) -> Spool:
        return spool_of(self.full_address)

    def size(self, name: str) -> int | None:
        """Size of a file in bytes; None if there is none."""
        pending = self._spool.pending()
        return pending[name] if name in pending else super().size(name)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None if there is none."""
        with self._pinned(name) as path:
            return path.read_bytes() if path else super().read(name)

    def write_all(self, files: dict[str, bytes]) -> None:
        """Put several files, after older ones of the same names."""
        self._wait_for(*files)
        super().write_all(files)

    def create(self, name: str, data: bytes) -> bool:
        """Put a file unless the name is taken; False if it is."""
        self._wait_for(name)
        return super().create(name, data)

    def remove(self, name: str) -> None:
        """Delete a file if it is there, after what was put in its folder before."""
        if not self._spool.remove(self._inner, name):
            super().remove(name)

    def clear(self, folder: str) -> None:
        """Delete all files below ``folder``, and drop those on their way to it."""
        self._spool.drop(folder)
        self._inner.clear(folder)

    def names(self, folder: str) -> list[str]:
        """Names of all files below ``folder``, sorted, with those on their way."""
        pending = self._spool.pending()  # before the listing, or what arrives now is in neither
        names = set(super().names(folder))
        for name, size in pending.items():
            if not folder or name.startswith(f"{folder}/"):
                (names.discard if size is None else names.add)(name)
        return sorted(names)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A path in the spool; what is left of it afterwards is removed."""
        path = _spool_folder.new_path()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, path: Path, name: str, once: bool = False, told: Told | None = None) -> None:
        """Take over a file from :meth:`scratch`; it is sent to ``name`` in the background."""
        with self._errors("write", name):
            self._spool.put(self._inner, path, name, once)

    @contextlib.contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """A local path from which a file can be read inside the block; None if there is none."""
        with self._pinned(name) as path:
            if path:
                yield path
                return
        with super().local(name) as path:
            yield path

    def settle(self, folder: str = "") -> None:
        """Wait until all that was put below ``folder`` is in the storage.

        Raises:
            StoreError: Something could not be put.
        """
        self._spool.settle(folder)

    def lost(self, folder: str) -> list[str]:
        """Names below ``folder`` that could not be put, since this was asked last."""
        return self._spool.lost(folder)

    def wait_for_room(self) -> bool:
        """Wait until a file has left the local disk; False if there are none."""
        return self._spool.wait_for_room()

    def _wait_for(self, *names: str) -> None:
        if not set(names).isdisjoint(self._spool.pending()):
            self._spool.settle(names[0].rpartition("/")[0])

    @contextlib.contextmanager
    def _pinned(self, name: str) -> Iterator[Path | None]:
        path = self._spool.pinned(name)
        try:
            yield path
        finally:
            if path:
                path.unlink(missing_ok=True)
