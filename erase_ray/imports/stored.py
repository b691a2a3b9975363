"""Imported results in a store: one folder each, committed like a cell."""

import io
import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.errors import StoreError
from erase_ray.experiment._commit import MANIFEST, commit, read_file, read_manifest
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.store import Store
from erase_ray.experiment.tables import SCHEMAS
from erase_ray.experiment.upkeep.inventory import IMPORTED

FILE = "results.parquet"
SCHEMA = SCHEMAS["results"].append(pa.field("source", pa.string()))
"""Columns and types of imported results; what is not known is null."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*")


def imported_results(store: Store | Blobs) -> pd.DataFrame:
    """All imported results of a store, in the order of their names.

    The columns are those of our results and ``source``. Missing numbers are NaN, missing texts
    empty. Without any the table is empty and has the columns.

    Raises:
        StoreError: A file is missing or damaged.
    """
    blobs = store._blobs if isinstance(store, Store) else store
    tables = [SCHEMA.empty_table()]
    for name in imported_names(blobs):
        manifest = read_manifest(blobs, f"{IMPORTED}/{name}")
        data = read_file(blobs, f"{IMPORTED}/{name}", FILE, manifest)
        tables.append(pq.read_table(pa.BufferReader(data), schema=SCHEMA))
    return pa.concat_tables(tables).to_pandas()


def imported_names(blobs: Blobs) -> list[str]:
    """Names of all imported results, sorted."""
    parts = [name.split("/") for name in blobs.names(IMPORTED)]
    return sorted(part[1] for part in parts if len(part) == 3 and part[2] == MANIFEST)


def put_imported(
    blobs: Blobs,
    name: str,
    results: pd.DataFrame,
    files: dict[str, bytes],
    facts: dict[str, Any],
) -> str:
    """Commit imported results.

    Args:
        blobs: The storage.
        name: Of the folder below ``imported``.
        results: Columns of our results and ``source``.
        files: More files by name.
        facts: What the manifest says besides names, sizes and checksums of all files.

    Returns:
        The folder.

    Raises:
        StoreError: The name is taken or cannot be one, or the storage cannot be written.
    """
    folder = imported_folder(name)
    content = {FILE: _parquet(results)} | files
    if blobs.exists(f"{folder}/{MANIFEST}") or not commit(
        blobs, folder, content, {"key": name} | facts
    ):
        raise StoreError(f"{blobs.address} has {folder} already; choose another --name")
    return folder


def imported_folder(name: str) -> str:
    """Where imported results lie.

    Raises:
        StoreError: The name cannot be that of a folder.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"'{name}' cannot name imported results; expected letters, digits and _ . = + -"
        )
    return f"{IMPORTED}/{name}"


def _parquet(frame: pd.DataFrame) -> bytes:
    whole = [field.name for field in SCHEMA if pa.types.is_integer(field.type)]
    typed = frame.astype(dict.fromkeys(whole, "Int64"))
    table = pa.Table.from_pandas(typed, schema=SCHEMA, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()
