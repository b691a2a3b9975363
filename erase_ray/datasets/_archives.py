"""Archives and their checksums."""

import hashlib
import os
import shutil
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath

_LARGE_BYTES = 1 << 26


class SourceError(Exception):
    """Why one source could not deliver; the next one is tried."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; a large one is read once as long as it is the same."""
    facts = path.stat()
    if facts.st_size < _LARGE_BYTES:
        return _digest(path)
    return _known_digest(path, (facts.st_size, facts.st_mtime_ns, facts.st_ino))


@lru_cache
def _known_digest(path: Path, _: tuple[int, int, int]) -> str:
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def base_name(member: str) -> str:
    """The last part of a path inside an archive: a file name and never a path."""
    return PurePosixPath(member).name


def verify(archive: Path, sha256: str) -> None:
    """Check that an archive is the expected one.

    Raises:
        SourceError: Its checksum is another one.
    """
    found = sha256_of(archive)
    if found != sha256:
        raise SourceError(
            f"checksum of {archive.name} ({archive.stat().st_size} bytes) is {found[:12]}..., "
            f"expected {sha256[:12]}..."
        )


def extract(archive: Path, members: list[str], folder: Path) -> None:
    """Copy members of a zip archive into ``folder`` under their base names, flushed to the disk.

    Raises:
        SourceError: It is no zip archive, or a member is missing or damaged.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in members:
                _copy(opened, member, folder / base_name(member))
    except KeyError as error:
        raise SourceError(f"{archive.name}: {error.args[0]}") from error
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{archive.name} is not an intact zip archive: {error}") from error


def _copy(opened: zipfile.ZipFile, member: str, target: Path) -> None:
    with opened.open(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
