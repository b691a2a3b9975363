"""The files of runs, each read once for as long as it does not change."""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from erase_ray.experiment._entry import Entry
from erase_ray.experiment._names import cell_folder, chain_folder
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.store import LEASE, LIVE

STATUS, PLAN, ESTIMATE = "status.json", "plan.json", "estimate.json"
PAGE = "report/index.html"
READERS = 16
_CHUNK = re.compile(r"(?P<writer>driver-\d{8}T\d{6}-\d+)(-(?P<number>\d+))?")


@dataclass(frozen=True)
class RunName:
    """A run of the store.

    Args:
        name: Of the run.
        changed: When a file of it was last written, seconds since 1970 by the storage's clock.
        has_status: Whether a driver has written down how it stands.
        has_page: Whether there is a report on it.
    """

    name: str
    changed: float
    has_status: bool
    has_page: bool


@dataclass(frozen=True)
class Told:
    """What a cell tells while it runs.

    Args:
        events: The end of what its last try tells; empty where it is over.
        host: Name of the machine it runs on; empty where that is not known.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    host: str = ""


class RunFiles:
    """Reads what drivers and workers write about runs.

    :meth:`look` is one listing; everything else reads what was there then, side by side.

    Args:
        blobs: The storage.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._entries: dict[str, Entry] = {}
        self._kept: dict[str, tuple[Entry, bytes]] = {}
        self._totals: dict[tuple[str, ...], int | None] = {}

    @property
    def address(self) -> str:
        """Of the storage, for people."""
        return self._blobs.address

    def look(self) -> list[RunName]:
        """All runs, the one that was written to last first."""
        listed = self._blobs.entries("runs")
        self._entries = {entry.name: entry for entry in listed if _is_shown(entry)}
        runs: dict[str, dict[str, float]] = {}
        for entry in self._entries.values():
            _, run, name = entry.name.split("/", 2)
            runs.setdefault(run, {})[name] = entry.modified
        found = [
            RunName(run, max(files.values()), STATUS in files, PAGE in files)
            for run, files in runs.items()
        ]
        return sorted(found, key=lambda run: (-run.changed, run.name))

    def status(self, run: str) -> dict[str, Any]:
        """The last status of a run, read anew; empty if there is none."""
        return _parsed(self._blobs.read(f"runs/{run}/{STATUS}"))

    def plan(self, run: str) -> list[dict[str, Any]]:
        """The nodes of the plan of a run; empty if there is none."""
        return self._json(run, PLAN).get("nodes", [])

    def estimate(self, run: str) -> dict[str, Any]:
        """What the last driver expected of what was left then; empty if that is not there."""
        return self._json(run, ESTIMATE)

    def events(self, run: str) -> dict[str, list[dict[str, Any]]]:
        """What each driver wrote, in order: ``time`` of writing and ``events``."""
        folder = f"runs/{run}/events/"
        names = [name for name in self._entries if name.startswith(folder)]
        texts = self._read(sorted(names, key=lambda name: _place(name.removeprefix(folder))))
        found: dict[str, list[dict[str, Any]]] = {}
        for name, data in texts.items():
            found.setdefault(_place(name.removeprefix(folder))[0], []).extend(_lines(data))
        return found

    def told(self, keys: Iterable[str]) -> list[Told]:
        """What some cells tell while they run.

        A listing and at most three small files each, however much was told.
        """
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(self._told, keys))

    def _told(self, key: str) -> Told:
        folder = cell_folder(key)
        listed = self._blobs.entries(folder)
        leases = [entry.name for entry in listed if entry.name.startswith(f"{folder}/{LEASE}/")]
        place = _parsed(self._blobs.read(max(leases))).get("place", "") if leases else ""
        host = place.partition(" ")[0]
        streams = [entry for entry in listed if entry.name.startswith(f"{folder}/{LIVE}/")]
        if not streams:
            return Told(host=host)
        newest = max(streams, key=lambda entry: (entry.modified, entry.name))
        stem = newest.name.rpartition("-")[0]
        chunks = [entry.name for entry in streams if entry.name.startswith(f"{stem}-")]
        texts = [self._blobs.read(name) or b"" for name in chunks[-2:]]
        return Told([event for text in texts for event in _lines(text)], host)

    def num_requests(self, chain: list[str]) -> int | None:
        """How many requests a chain has; None if its data are gone.

        Args:
            chain: Name and key of the dataset, and key of the chain.
        """
        place = tuple(chain)
        if place not in self._totals:
            manifest = _parsed(self._blobs.read(f"{chain_folder(*chain)}/manifest.json"))
            self._totals[place] = manifest.get("num_requests")
        return self._totals[place]

    def _json(self, run: str, name: str) -> dict[str, Any]:
        path = f"runs/{run}/{name}"
        return _parsed(self._read([path])[path]) if path in self._entries else {}

    def _read(self, names: list[str]) -> dict[str, bytes]:
        """Content by name; only what has changed since it was last read is asked for."""
        stale = [name for name in names if not self._is_kept(name)]
        with ThreadPoolExecutor(READERS) as pool:
            for name, data in zip(stale, pool.map(self._blobs.read, stale), strict=True):
                self._kept[name] = (self._entries[name], data or b"")
        return {name: self._kept[name][1] for name in names}

    def _is_kept(self, name: str) -> bool:
        return name in self._kept and self._kept[name][0] == self._entries[name]


def _place(file: str) -> tuple[str, int]:
    """Writer of a file of events, and which of its files it is."""
    stem = file.removesuffix(".jsonl")
    match = _CHUNK.fullmatch(stem)
    return (match["writer"], int(match["number"] or 0)) if match else (stem, 0)


def _is_shown(entry: Entry) -> bool:
    """Whether it is a whole file inside a folder of its own; some servers list folders as well."""
    return entry.name.count("/") > 1 and not entry.name.endswith(".tmp")


def _parsed(data: bytes | None) -> dict[str, Any]:
    """A JSON object; empty if it is not there or was not written by us."""
    try:
        value = json.loads(data or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _lines(data: bytes) -> list[dict[str, Any]]:
    """All whole lines; one that a killed writer left unfinished is passed over."""
    return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
