"""A folder as a ``.tar.gz`` that is always the same, and back again without trusting it."""

import gzip
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, cast

from erase_ray.errors import StoreError
from erase_ray.submission.manifest import MANIFEST, Manifest, parse_manifest

TOP = "submission"
"""Folder that everything in an archive lies in."""
ENDINGS = (".tar.gz", ".tgz")
MOST_MANIFEST_BYTES = 1 << 28
MOST_RATIO = 100
"""Unpacked bytes for one byte of the archive; tables are compressed already, logs by 30 or so."""
FREE_BYTES = 1 << 26
"""What an archive may unpack to, however small it is."""
_HEADERS = 4096
"""Bytes around a file in an archive: its header, one for a long name, and padding."""
_LEVEL = 6


def write_archive(folder: Path, path: Path) -> None:
    """Pack a folder of files: the manifest first, then by name; equal content, equal bytes."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    ordered = [MANIFEST, *(name for name in names if name != MANIFEST)]
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in ordered:
            info = tarfile.TarInfo(f"{TOP}/{name}")
            info.size, info.mode, info.mtime = (folder / name).stat().st_size, 0o644, 0
            with (folder / name).open("rb") as file:
                tar.addfile(info, file)


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack an archive into an empty folder; nothing but what its manifest names is written.

    The manifest has to come first. Only plain files inside ``submission/`` are taken, each of the
    size that the manifest states, and no more in all than ``MOST_RATIO`` allows.

    Raises:
        StoreError: It is no archive of a submission, or does something else than hold one.
    """
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as zipped:
            limited = _Limited(zipped, MOST_MANIFEST_BYTES + 4 * _HEADERS)
            with tarfile.open(fileobj=cast(Any, limited), mode="r|") as tar:
                return _unpacked(tar, limited, path, folder)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, ValueError) as error:
        raise StoreError(f"{path} is not a .tar.gz of a submission: {error}") from error


def _unpacked(tar: tarfile.TarFile, limited: "_Limited", path: Path, folder: Path) -> Manifest:
    members = iter(tar)
    first = next(members, None)
    if first is None or _inner(first, path) != MANIFEST or first.size > MOST_MANIFEST_BYTES:
        raise StoreError(f"{path}: the first file must be {TOP}/{MANIFEST}")
    _extract(tar, first, MANIFEST, folder)
    manifest = parse_manifest((folder / MANIFEST).read_bytes(), f"{path}")
    total = sum(file.size for file in manifest.files.values())
    _check_total(total, path, folder)
    limited.allow(total + _HEADERS * (len(manifest.files) + 4))
    _extract_all(tar, members, manifest, path, folder)
    return manifest


def _extract_all(
    tar: tarfile.TarFile,
    members: Iterator[tarfile.TarInfo],
    manifest: Manifest,
    path: Path,
    folder: Path,
) -> None:
    seen: set[str] = set()
    for member in members:
        name = _inner(member, path)
        known = manifest.files.get(name)
        if known is None or name in seen:
            why = "twice" if name in seen else f"and is not named by its {MANIFEST}"
            raise StoreError(f"{path}: {name} is in the archive {why}")
        if member.size != known.size:
            raise StoreError(
                f"{path}: {name} has {member.size} bytes, its {MANIFEST} says {known.size}"
            )
        seen.add(name)
        _extract(tar, member, name, folder)


def _inner(member: tarfile.TarInfo, path: Path) -> str:
    """Name of a member inside the submission, if it is one that may be written."""
    parts = PurePosixPath(member.name).parts
    if not member.isreg():
        raise StoreError(f"{path}: {member.name!r} is a link, device or folder; files alone go in")
    is_plain = member.name == "/".join(parts) and "\\" not in member.name
    if not is_plain or len(parts) < 2 or parts[0] != TOP or ".." in parts:
        raise StoreError(f"{path}: {member.name!r} is not a name inside {TOP}/")
    return "/".join(parts[1:])


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, folder: Path) -> None:
    safe = tarfile.data_filter(member.replace(name=name, deep=False), str(folder))
    source = tar.extractfile(member)
    assert source is not None
    target = folder / safe.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(source, file)


def _check_total(total: int, path: Path, folder: Path) -> None:
    most = MOST_RATIO * path.stat().st_size + FREE_BYTES
    if total > most:
        raise StoreError(f"{path} would unpack to {total} bytes, more than the {most} it may")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise StoreError(f"{path} unpacks to {total} bytes, and {folder} has {free} left")


class _Limited:
    """A stream that ends in an error once more was read than is allowed."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._left = stream, most

    def allow(self, more: int) -> None:
        """From now on so many bytes may be read."""
        self._left = more

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise StoreError("the archive holds more than its manifest says")
        return data
