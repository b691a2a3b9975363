"""The store: one storage address that holds everything which outlives a process."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import yaml
from torch import Tensor

from erase_ray.data.files import from_files, to_files
from erase_ray.data.prepared import Prepared
from erase_ray.errors import StoreError
from erase_ray.experiment import chain_files, live, weights
from erase_ray.experiment._address import scrubbed, without_secrets
from erase_ray.experiment._commit import (
    MANIFEST,
    commit,
    read_file,
    read_manifest,
    to_json_lines,
)
from erase_ray.experiment._events import EventStream, read_events
from erase_ray.experiment._names import cell_folder, chain_folder, data_folder, run_path
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Journal
from erase_ray.experiment.lease import Lease
from erase_ray.experiment.outside import outside_versions
from erase_ray.experiment.tables import SCHEMAS, from_parquet, to_parquet
from erase_ray.scenarios import Chain

JOURNAL, LIVE, LEASE = "journal", "live", "lease"
"""Folders of a cell that runs, beside its files: its snapshots, what it tells, who runs it."""
WEIGHTS = "weights"
_READERS = 16


def _empty() -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True, eq=False)
class CellRecord:
    """All that a finished cell leaves behind.

    Args:
        settings: The cell with all its settings resolved; plain values.
        results: Measured numbers that the key determines; columns ``RESULTS``.
        costs: Seconds; the same columns.
        requests: One request a row; columns ``REQUESTS``.
        ranked: One query a row; columns ``RANKED``.
        observed: One example a row, of shadow models alone; others have no such file.
        log: Events in order, one JSON value each.
        weights: Name of the stored weights by mark; a base cell uses ``"0"``.
        facts: Anything else about the cell that a reader may want without opening a table.
    """

    settings: dict[str, Any]
    results: pd.DataFrame = field(default_factory=_empty)
    costs: pd.DataFrame = field(default_factory=_empty)
    requests: pd.DataFrame = field(default_factory=_empty)
    ranked: pd.DataFrame = field(default_factory=_empty)
    observed: pd.DataFrame = field(default_factory=_empty)
    log: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """The stored files by name."""
        known = {name: getattr(self, name) for name in SCHEMAS}
        if known["observed"].empty:
            del known["observed"]
        tables = {f"{name}.parquet": to_parquet(name, frame) for name, frame in known.items()}
        text = yaml.safe_dump(scrubbed(self.settings), sort_keys=True, allow_unicode=True)
        return {"settings.yaml": text.encode(), "log.jsonl": to_json_lines(self.log)} | tables


class Store:
    """Data, cells, weights and runs under one address, shared by all workers.

    ``uri`` is a path or any address that fsspec knows: ``runs``, ``file:///data/runs``,
    ``s3://bucket/path``, ``memory://name``. Keys for S3 come from the environment
    (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL`` for servers other than
    Amazon's, ``ERASE_RAY_S3_ADDRESSING`` for their style of addresses, or an AWS profile or role),
    never from the address, and are never written. Writers
    need no locks: see ``_commit.py``; conditional puts are found out when the store is opened.
    Readers trust manifests alone and check every file against them.

    Args:
        uri: Address of the storage; a local folder is made if need be.
        read_only: Skip the write test, for reports.

    Raises:
        StoreError: The address cannot be read, or not written and ``read_only`` is False.
    """

    def __init__(self, uri: str, read_only: bool = False) -> None:
        self._blobs = open_blobs(uri, read_only)
        self._streams: dict[tuple[str, str], EventStream] = {}

    @property
    def uri(self) -> str:
        """The address for people, without secrets; absolute if it is a local folder."""
        return self._blobs.address

    def __repr__(self) -> str:
        return f"Store({self.uri!r})"

    def child(self, name: str) -> str:
        """Full address of a file or folder inside the storage; do not show it."""
        return f"{self._blobs.full_address.rstrip('/')}/{name}"

    def has_data(self, dataset: str, key: str) -> bool:
        """True if the prepared dataset is complete."""
        return self._blobs.exists(f"{data_folder(dataset, key)}/{MANIFEST}")

    def put_data(self, prepared: Prepared, key: str) -> bool:
        """Store a prepared dataset; False if another writer came first."""
        table = prepared.interactions
        facts = {
            "key": key,
            "dataset": prepared.dataset,
            "task": prepared.task,
            "num_rows": len(table),
            "num_users": table.num_users,
            "num_items": table.num_items,
            "num_sequences": table.num_sequences,
            "split_hash": prepared.split.hash,
            "counts": list(prepared.counts.items()),  # pairs, as manifests sort their keys
            "raw": prepared.raw,
            "versions": outside_versions({"dataset": {"name": prepared.dataset}}),
        }
        return commit(self._blobs, data_folder(prepared.dataset, key), to_files(prepared), facts)

    def get_data(self, dataset: str, key: str) -> Prepared:
        """A prepared dataset.

        Raises:
            StoreError: It is not there, or a file has the wrong checksum.
        """
        folder = data_folder(dataset, key)
        manifest = read_manifest(self._blobs, folder)
        files = {n: read_file(self._blobs, folder, n, manifest) for n in manifest["files"]}
        prepared = from_files(files, manifest["dataset"], manifest["task"])
        return replace(prepared, counts=dict(manifest["counts"]), raw=manifest["raw"])

    def data_manifest(self, dataset: str, key: str) -> dict[str, Any]:
        """Sizes, split hash and files of a prepared dataset."""
        return read_manifest(self._blobs, data_folder(dataset, key))

    def data_keys(self, dataset: str) -> list[str]:
        """Keys of all complete preparations of a dataset, sorted."""
        names = self._blobs.names(f"data/{dataset}")
        parts = [name.split("/") for name in names]
        return sorted(part[2] for part in parts if len(part) == 4 and part[3] == MANIFEST)

    def drop_data(self, dataset: str, key: str) -> None:
        """Take a prepared dataset and its chains out of the store, manifests first."""
        names = self._blobs.names(data_folder(dataset, key))
        for name in sorted(names, key=lambda name: not name.endswith(f"/{MANIFEST}")):
            self._blobs.remove(name)

    def has_chain(self, dataset: str, key: str, chain: str) -> bool:
        """True if the chain of requests on a prepared dataset is complete."""
        return self._blobs.exists(f"{chain_folder(dataset, key, chain)}/{MANIFEST}")

    def put_chain(self, dataset: str, key: str, chain: str, content: Chain) -> bool:
        """Store a chain of requests; False if another writer came first.

        Args:
            dataset: Name of the dataset.
            key: Key of the prepared dataset.
            chain: Key of the chain.
            content: The chain.
        """
        facts = {"key": chain, "dataset": dataset, "data_key": key} | chain_files.facts(content)
        folder = chain_folder(dataset, key, chain)
        return commit(self._blobs, folder, chain_files.to_files(content), facts)

    def get_chain(self, dataset: str, key: str, chain: str) -> Chain:
        """A chain of requests, equal to the one that was stored to the last bit of its hash.

        Raises:
            StoreError: It is not there, a file has the wrong checksum, or the chain's own hash is
                another than that of its manifest.
        """
        folder = chain_folder(dataset, key, chain)
        manifest = read_manifest(self._blobs, folder)
        files = {n: read_file(self._blobs, folder, n, manifest) for n in manifest["files"]}
        content = chain_files.from_files(files, manifest)
        if content.hash != manifest["hash"]:
            raise StoreError(
                f"{folder} at {self.uri} has the hash {content.hash[:12]}, its manifest says "
                f"{manifest['hash'][:12]}; delete the folder and run the same command again"
            )
        return content

    def chain_keys(self, dataset: str, key: str) -> list[str]:
        """Keys of all complete chains of requests on a prepared dataset, sorted."""
        names = self._blobs.names(f"{data_folder(dataset, key)}/chains")
        parts = [name.split("/") for name in names]
        return sorted(part[4] for part in parts if len(part) == 6 and part[5] == MANIFEST)

    def chain_manifest(self, dataset: str, key: str, chain: str) -> dict[str, Any]:
        """Hash, marks and counts of a chain of requests."""
        return read_manifest(self._blobs, chain_folder(dataset, key, chain))

    def has_cell(self, key: str) -> bool:
        """True if the cell is committed."""
        return self._blobs.exists(f"{cell_folder(key)}/{MANIFEST}")

    def done_cells(self) -> set[str]:
        """Keys of all committed cells, in one listing."""
        return {name.split("/")[2] for name in self._blobs.ending_in("cells", MANIFEST)}

    def put_cell(self, key: str, record: CellRecord) -> bool:
        """Commit a cell; False if another record of it was there or came first.

        A record that an earlier, killed writer had handed over completely counts as first: it is
        completed and kept. Weights on their way are waited for, so that no manifest names weights
        that are not there.

        Raises:
            StoreError: The record, or weights that were put before, cannot be stored.
        """
        self._blobs.settle(WEIGHTS)
        facts = {
            "key": key,
            "weights": record.weights,
            "facts": record.facts,
            "versions": outside_versions(record.settings),
        }
        return commit(self._blobs, cell_folder(key), record.files(), facts)

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of a cell: format, key, files, weights, facts, created, versions.

        Raises:
            StoreError: The cell is not committed, or its manifest is damaged.
        """
        return read_manifest(self._blobs, cell_folder(key))

    def settings(self, key: str) -> dict[str, Any]:
        """The resolved settings of a cell."""
        return yaml.safe_load(self.cell_file(key, "settings.yaml"))

    def log(self, key: str) -> list[dict[str, Any]]:
        """The events of a cell, in order."""
        lines = self.cell_file(key, "log.jsonl").decode().splitlines()
        return [json.loads(line) for line in lines]

    def table(self, key: str, name: str) -> pd.DataFrame:
        """A table of a cell: ``results``, ``costs``, ``requests``, ``ranked`` or ``observed``.

        Raises:
            StoreError: There is no such table, the cell is not committed, or the file has the
                wrong checksum.
        """
        if name not in SCHEMAS:
            raise StoreError(f"no table is called '{name}'. Known: {', '.join(SCHEMAS)}")
        return from_parquet(self.cell_file(key, f"{name}.parquet"))

    def gather(self, keys: Iterable[str], name: str) -> pd.DataFrame:
        """The same table of many cells, read side by side and stacked in the order of ``keys``."""
        with ThreadPoolExecutor(_READERS) as pool:
            frames = list(pool.map(lambda key: self.table(key, name), keys))
        filled = [frame for frame in frames if len(frame)]
        empty = from_parquet(to_parquet(name, pd.DataFrame()))
        return pd.concat(filled, ignore_index=True) if filled else empty

    def journal(self, key: str, identity: dict[str, str]) -> Journal:
        """The snapshots of a cell that is not committed yet.

        Args:
            key: Of the cell.
            identity: What else a snapshot has to agree in.
        """
        folder = f"{cell_folder(key)}/{JOURNAL}"
        return Journal(self._blobs, folder, identity | {"cell": key})

    def lease(self, dataset: str | None, key: str, driver: str) -> Lease:
        """The right to run a cell, or to prepare ``dataset``.

        Args:
            dataset: Name of the dataset; None for a cell.
            key: Of the cell, or of the prepared dataset.
            driver: Name of the driver that hands out the work.
        """
        folder = data_folder(dataset, key) if dataset else cell_folder(key)
        return Lease(self._blobs, f"{folder}/{LEASE}", driver)

    def stream(self, key: str) -> live.Stream:
        """Where a cell that runs tells how it goes."""
        return live.Stream(self._blobs, f"{cell_folder(key)}/{LIVE}")

    def told(self, key: str) -> list[dict[str, Any]]:
        """What was told of a cell that is not committed yet, try by try."""
        return live.read(self._blobs, f"{cell_folder(key)}/{LIVE}")

    def drop_working_files(self, key: str) -> None:
        """Delete the snapshots of a cell and what it told while it ran."""
        for folder in (JOURNAL, LIVE):
            self._blobs.clear(f"{cell_folder(key)}/{folder}")

    def put_weights(self, tensors: dict[str, Tensor], parent: str | None = None) -> str:
        """Store weights and return their SHA-256; see :func:`weights.put_weights`.

        On a remote storage they arrive later: before the next cell is put, or at :meth:`flush`.
        """
        return weights.put_weights(self._blobs, tensors, parent)

    def get_weights(self, sha: str, verify: bool = True) -> dict[str, Tensor]:
        """Stored weights, bit for bit; see :func:`weights.get_weights`."""
        return weights.get_weights(self._blobs, sha, verify)

    def flush(self) -> None:
        """Wait until everything that was put is in the storage, and not only on its way.

        Raises:
            StoreError: Something could not be stored.
        """
        self._blobs.settle()

    def put_run(self, run: str, name: str, content: str | bytes) -> None:
        """Write a file of a run, over an older one; texts lose their secrets."""
        data = content if isinstance(content, bytes) else without_secrets(content).encode()
        self._blobs.write(run_path(run, name), data)

    def get_run(self, run: str, name: str) -> str | None:
        """A text file of a run; None if there is none."""
        data = self._blobs.read(run_path(run, name))
        return None if data is None else data.decode()

    def runs(self) -> list[str]:
        """Names of all runs that have written something, sorted."""
        return sorted({name.split("/")[1] for name in self._blobs.names("runs")})

    def append_event(self, run: str, writer: str, event: dict[str, Any]) -> None:
        """Add an event to the stream of ``writer``, a name that nobody else uses in this run."""
        if (run, writer) not in self._streams:
            stem = run_path(run, f"events/{writer}")
            self._streams[run, writer] = EventStream(self._blobs, stem)
        self._streams[run, writer].append(event)

    def events(self, run: str) -> list[dict[str, Any]]:
        """All events of a run, writer by writer."""
        return read_events(self._blobs, run_path(run, "events"))

    def cell_file(self, key: str, name: str) -> bytes:
        """A file of a cell as it is stored, checked against the manifest."""
        folder = cell_folder(key)
        return read_file(self._blobs, folder, name, read_manifest(self._blobs, folder))
