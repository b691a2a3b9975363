"""Raw files that lie in a folder, as a user or an earlier download has put them there."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from fsspec.core import url_to_fs

from erase_ray.datasets._about import RawFile
from erase_ray.datasets._archives import SourceError, base_name, sha256_of, verify
from erase_ray.datasets._download import download_file
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import FetchError

logger = logging.getLogger(__name__)

RECORD = "downloads.json"
_GZ = ".gz"


@dataclass(frozen=True)
class Download:
    """A file that was downloaded without a checksum to compare with.

    Args:
        address: Where from.
        sha256: Of what came.
        size_bytes: Of what came.
        when: UTC, ISO.
    """

    address: str
    sha256: str
    size_bytes: int
    when: str


def own_folders(cache: str | Path, dataset: str) -> list[Path]:
    """Where files of ``dataset`` may have been put by hand or by :func:`download_files`.

    Args:
        cache: Local path or fsspec address; under another than a local one there are none, as
            readers need local files.
        dataset: Name of the dataset.

    Returns:
        The folder in ``cache``, if any, and the one in the user's cache.
    """
    fs, root = url_to_fs(str(cache))
    caches = [Path(root)] if "file" in fs.protocol else []
    folders = [folder / "raw" / dataset for folder in (*caches, Scratch.default().folder)]
    return list(dict.fromkeys(folders))


def key_of(file: RawFile) -> str:
    """The name under which a reader gets the file: without ``.gz``."""
    return file.name.removesuffix(_GZ)


def find_files(files: Sequence[RawFile], folder: Path) -> dict[str, Path]:
    """Those of ``files`` that are there, by the name under which readers get them.

    A file is taken from its path below ``folder`` or, by its base name, from ``folder`` itself,
    each with ``.gz`` or without. ``folder`` may also be the one file.
    """
    found = {}
    for file in files:
        path = next((path for path in _places(file, folder) if path.is_file()), None)
        if path:
            found[key_of(file)] = path
    return found


def missing_files(files: Sequence[RawFile], found: dict[str, Path]) -> list[RawFile]:
    """The files that readers cannot do without and that were not found.

    Where every file is optional, as with several editions, all of them if there is none.
    """
    if files and not found and all(file.optional for file in files):
        return list(files)
    return [file for file in files if not file.optional and key_of(file) not in found]


def described(file: RawFile) -> str:
    """Name, size and address of a file, as far as they are known."""
    facts = "; ".join(filter(None, [file.size, file.address]))
    return f"{file.name} ({facts})" if facts else file.name


def downloads(folder: Path) -> dict[str, Download]:
    """What was downloaded into ``folder``, by file name.

    Raises:
        FetchError: The record is damaged.
    """
    record = folder / RECORD
    if not record.exists():
        return {}
    try:
        return {name: Download(**facts) for name, facts in json.loads(record.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise FetchError(f"{record} is damaged; delete it and fetch again") from error


def check_downloads(folder: Path, paths: Sequence[Path]) -> None:
    """Check that downloaded files are still what came.

    Raises:
        FetchError: One has changed since.
    """
    for name, download in downloads(folder).items():
        path = folder / name
        if path in paths:
            try:
                verify(path, download.sha256)
            except SourceError as error:
                text = f"{path} has changed since it was downloaded: {error}; fetch it again"
                raise FetchError(f"{text} with --force") from error


def download_files(
    files: Sequence[RawFile], folder: Path, force: bool = False
) -> dict[str, tuple[Path, Download, bool]]:
    """Download the files that have an address, and write down what came.

    Args:
        files: Those without an address are left out.
        folder: Made if need be.
        force: Also those that are there already.

    Returns:
        Path, facts and whether it came just now, by the name under which readers get the file.
        Files that somebody else has put there are left out.

    Raises:
        FetchError: One cannot be downloaded; those before it stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        return _download_missing([file for file in files if file.address], folder, force)


def _download_missing(
    files: Sequence[RawFile], folder: Path, force: bool
) -> dict[str, tuple[Path, Download, bool]]:
    found, known, done = find_files(files, folder), downloads(folder), {}
    for file in files:
        path = found.get(key_of(file))
        if path is None or force:
            path = folder / _file_name(file)
            name = str(path.relative_to(folder))
            known[name] = _downloaded(file, path)
            _write_record(folder, known)
            done[key_of(file)] = (path, known[name], True)
        elif (name := str(path.relative_to(folder))) in known:
            done[key_of(file)] = (path, known[name], False)
    return done


def _downloaded(file: RawFile, path: Path) -> Download:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    if path.exists():
        part.unlink(missing_ok=True)  # what broke off may be of the file that is to be replaced
    try:
        download_file(file.address, part)
    except SourceError as error:
        raise FetchError(f"cannot download {file.name} from {file.address}: {error}") from error
    os.replace(part, path)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return Download(file.address, sha256_of(path), path.stat().st_size, when)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time download into ``folder``; the lock ends with the process."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_record(folder: Path, known: dict[str, Download]) -> None:
    draft = folder / f"{RECORD}.{os.getpid()}"
    facts = {name: asdict(download) for name, download in sorted(known.items())}
    draft.write_text(json.dumps(facts, indent=1) + "\n")
    os.replace(draft, folder / RECORD)


def _file_name(file: RawFile) -> str:
    """Where a download goes: with ``.gz`` if what comes is compressed."""
    is_packed = file.address.endswith(_GZ)
    return key_of(file) + (_GZ if is_packed else "")


def _places(file: RawFile, folder: Path) -> list[Path]:
    name = key_of(file)
    if folder.is_file():
        names = (base_name(name), base_name(name) + _GZ)
        return [folder] if folder.name in names else []
    both = dict.fromkeys([name, base_name(name)])
    return [folder / f"{one}{ending}" for one in both for ending in ("", _GZ)]
