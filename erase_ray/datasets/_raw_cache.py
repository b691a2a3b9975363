"""Raw files that were fetched before, on the local disk or in a shared storage."""

import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from fsspec.core import url_to_fs

from erase_ray.datasets._archives import base_name, extract, sha256_of, verify
from erase_ray.datasets._base import Source

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"


class RawCache:
    """``<cache>/raw/<sha256 of the archive>/`` with the members and a manifest of their checksums.

    A folder appears in one rename with all its files, and each file is checked whenever it is
    asked for. A cache that is not on the local disk is mirrored in the user's cache folder, as
    readers need local files; when it cannot be reached, the mirror serves alone.

    Args:
        address: Local path or fsspec address, never shown in messages as it may hold a password.
    """

    def __init__(self, address: str | Path) -> None:
        self._fs, root = url_to_fs(str(address))
        is_local = "file" in self._fs.protocol
        self._folder = (Path(root) if is_local else _user_cache()) / "raw"
        self._remote = None if is_local else f"{root.rstrip('/')}/raw"
        self.work = self._folder / "partial"
        """Folder for unfinished downloads."""
        self.work.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lock(self, source: Source) -> Iterator[None]:
        """Let one process at a time fetch a source; the lock ends with the process."""
        with (self.work / f"{source.sha256}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def get(self, source: Source) -> dict[str, Path] | None:
        """Local path of each member by base name; None unless all are there and intact."""
        files = self._intact(source)
        if not self._remote:
            return files
        try:
            if files is None:
                self._pull(source)
            else:
                self._push(source)
        except Exception as error:  # back ends raise their own kinds; a shared cache may be absent
            logger.warning("the shared raw files cannot be reached: %s", type(error).__name__)
        return self._intact(source)

    def add(self, source: Source, archive: Path) -> dict[str, Path]:
        """Extract the members of a verified archive; call it under the lock.

        Raises:
            SourceError: The archive is damaged, or a member is missing or another one.
        """
        fresh = self.work / f"{source.sha256}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        try:
            extract(archive, list(source.members), fresh)
            for member, sha256 in source.members.items():
                verify(fresh / base_name(member), sha256)
            (fresh / MANIFEST).write_text(json.dumps(asdict(source), indent=1))
            self._settle(source, fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        files = self.get(source)
        assert files is not None
        return files

    def _settle(self, source: Source, fresh: Path) -> None:
        if self._intact(source) is None:  # damaged, or made when fewer members were needed
            shutil.rmtree(self._folder / source.sha256, ignore_errors=True)
            fresh.rename(self._folder / source.sha256)

    def _intact(self, source: Source) -> dict[str, Path] | None:
        folder = self._folder / source.sha256
        files = {base_name(member): folder / base_name(member) for member in source.members}
        for path, sha256 in zip(files.values(), source.members.values(), strict=True):
            if not path.is_file() or sha256_of(path) != sha256:
                return None
        return files

    def _pull(self, source: Source) -> None:
        remote = f"{self._remote}/{source.sha256}"
        if not self._fs.exists(f"{remote}/{MANIFEST}"):
            return
        with tempfile.TemporaryDirectory(dir=self.work, ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch) / source.sha256
            fresh.mkdir()
            for name in [*map(base_name, source.members), MANIFEST]:
                self._fs.get_file(f"{remote}/{name}", str(fresh / name))
            self._settle(source, fresh)

    def _push(self, source: Source) -> None:
        remote, folder = f"{self._remote}/{source.sha256}", self._folder / source.sha256
        if self._fs.exists(f"{remote}/{MANIFEST}"):
            return
        self._fs.makedirs(remote, exist_ok=True)
        for name in [*map(base_name, source.members), MANIFEST]:  # the manifest commits the rest
            self._fs.put_file(str(folder / name), f"{remote}/{name}")


def _user_cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "erase_ray"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home folder, as in some containers
        return Path(tempfile.mkdtemp(prefix="erase_ray-"))
    return folder
