"""Make a prepared dataset from raw files, step by step."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from erase_ray.data.prepare import prepare
from erase_ray.data.prepared import Prepared
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.datasets._archives import sha256_of
from erase_ray.datasets._fetch import raw_files
from erase_ray.errors import FetchError, StoreError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.plan import DATA, Node
from erase_ray.experiment.store import Store
from erase_ray.tasks import TASKS

RAW_DATA = "ERASE_RAY_RAW"
"""Environment variable: a folder with raw files that is looked in before any download."""

Watch = Callable[[str], None]
"""Told what begins now."""


@dataclass(frozen=True)
class Places:
    """Where raw files are looked for, and what reading them may take.

    Args:
        cache: Local path or fsspec address of what was fetched before.
        local: The user's own folder, if any.
        scratch: For parsed columns.
    """

    cache: str | Path
    local: Path | None
    scratch: Scratch

    @classmethod
    def of_jobs(cls, store: Store) -> "Places":
        """Beside the data in the store, and in the folder that ``ERASE_RAY_RAW`` names."""
        return cls(store.child("data"), user_folder(), Scratch.default())


def user_folder() -> Path | None:
    """The folder that ``ERASE_RAY_RAW`` names, if it is set."""
    local = os.environ.get(RAW_DATA)
    return Path(local) if local else None


@dataclass(frozen=True)
class RawFiles:
    """The raw files of a dataset.

    Args:
        files: Local path by the name under which the reader gets it.
        checksums: SHA-256 by the same name.
    """

    files: dict[str, Path]
    checksums: dict[str, str]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(path.stat().st_size for path in self.files.values())


def find_raw(dataset: Part, places: Places) -> RawFiles:
    """The raw files of a dataset, fetched if need be and possible.

    Raises:
        FetchError: One is missing; the text says which and where it is to be had.
    """
    reader = dataset.build(DATASETS)
    files = raw_files(type(reader), places.cache, places.local, reader.own_files)
    return RawFiles(files, {name: sha256_of(path) for name, path in sorted(files.items())})


def read_and_prepare(
    dataset: Part, raw: RawFiles, scratch: Scratch, watch: Watch = lambda step: None
) -> Prepared:
    """Read raw files and number, sort, split and describe what they hold.

    Raises:
        DataError: A file is not what its format promises.
    """
    reader = dataset.build(DATASETS)
    watch("read and clean")
    read = reader.read(raw.files, scratch)
    watch("number, sort and split")
    data = prepare(reader, read, TASKS.get(reader.task)().split)
    return replace(data, raw=raw.checksums)


def check_same_raw(store: Store, dataset: Part, key: str, raw: RawFiles) -> None:
    """Check that stored data were made from the same raw files; unknown ones are taken as such.

    Raises:
        StoreError: A file has another checksum.
    """
    known = store.data_manifest(dataset.name, key).get("raw") or {}
    other = [name for name, sha in raw.checksums.items() if known.get(name, sha) != sha]
    if not other and (not known or known.keys() == raw.checksums.keys()):
        return
    names = ", ".join(
        f"{name} (there {known[name][:12]}, here {raw.checksums[name][:12]})" for name in other
    ) or (f"{_listed(known)} there, {_listed(raw.checksums)} here")
    raise StoreError(
        f"the store holds {dataset.name} {key[:12]} made from other raw files: {names}. "
        "Results of both must not mix: use another --storage, or the same raw files (or another "
        "revision, where the dataset has that setting)"
    )


def check_own_files(nodes: Iterable[Node], store: Store) -> None:
    """Check that a user's own files have not changed since the store's data were made from them.

    The files of a public dataset never change, a user's table does. One that is not to be found
    on this machine is not compared.

    Args:
        nodes: Of a plan.
        store: What the plan was made against.

    Raises:
        StoreError: A file has another checksum.
    """
    places = Places.of_jobs(store)
    for node in nodes:
        if node.kind != DATA or not node.done:
            continue
        dataset = Part(**node.payload["dataset"])
        if dataset.build(DATASETS).own_files:
            with suppress(FetchError):
                check_same_raw(store, dataset, node.key, find_raw(dataset, places))


def has_results(store: Store, key: str) -> bool:
    """True if a cell of the store was run on the prepared dataset."""
    return any(store.manifest(cell)["facts"].get("data_key") == key for cell in store.done_cells())


def _listed(names: dict[str, str]) -> str:
    return ", ".join(sorted(names)) or "none"
