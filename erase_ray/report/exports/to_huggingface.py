"""Results as a dataset folder of Hugging Face: Parquet files and a card."""

import io
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.errors import StoreError
from erase_ray.experiment.store import Store
from erase_ray.experiment.tables import SCHEMAS
from erase_ray.experiment.upkeep.secrets import Found, clean, cleaned
from erase_ray.report import choose
from erase_ray.report.exports._card import CONFIGS, Content, card
from erase_ray.report.exports._order import Order
from erase_ray.report.exports._target import Exported
from erase_ray.report.read import CellInfo
from erase_ray.report.stored import name_of

README, DATA = "README.md", "data"
_OF_CELL = ("task", "dataset", "model", "method", "scenario", "seed")
"""Columns that say which cell a request belongs to, with its key."""
_CELLS: dict[str, pa.DataType] = (
    dict.fromkeys(("cell", "label", "task", "dataset", "model", "method"), pa.string())
    | dict.fromkeys(("scenario", "category"), pa.string())
    | {"fraction": pa.float64(), "seed": pa.int64(), "mark": pa.int64(), "audit": pa.string()}
    | {"device": pa.string(), "seconds": pa.float64(), "created": pa.string()}
    | {"num_requests": pa.int64()}
    | dict.fromkeys(("split_hash", "chain_hash", "versions", "settings"), pa.string())
)


def write(order: Order) -> Exported:
    """The dataset anew, file by file, each in one step; the card comes last.

    Raises:
        StoreError: A table is damaged, or the folder has files of something else.
        SettingsError: There is no cell to export.
    """
    before, found = _there(order.out), Counter[str]()
    tables = _tables(order.store, order.cells, found)
    content = Content(order.name, order.licence, tables, _versions(order.cells))
    text = cleaned(card(content), found)
    try:
        (order.out / DATA).mkdir(parents=True, exist_ok=True)
        for name in CONFIGS:
            _put(order.out / DATA / f"{name}.parquet", _parquet(tables[name]))
        _put(order.out / README, text.encode())
    except OSError as error:
        raise StoreError(f"cannot write {order.out}: {error.strerror or error}") from error
    there = sum(cell.key in before for cell in order.cells)
    return Exported(len(order.cells) - there, there, 0, stripped=dict(found))


def _there(out: Path) -> set[str]:
    """Keys of the cells that an earlier export has left."""
    path = out / DATA / "cells.parquet"
    if path.is_file() and "cell" in pq.read_schema(path).names:
        return set(pq.read_table(path, columns=["cell"])["cell"].to_pylist())
    if out.exists() and any(not each.name.startswith(".") for each in out.iterdir()):
        raise StoreError(f"{out} has files that no export has left; name an empty folder")
    return set()


def _tables(store: Store, cells: list[CellInfo], found: Found) -> dict[str, pa.Table]:
    keys = [cell.key for cell in cells]
    tables = {
        name: _typed(store.gather(keys, name), SCHEMAS[name]) for name in ("results", "costs")
    }
    return {
        "results": tables["results"],
        "requests": _requests(store, cells, found),
        "costs": tables["costs"],
        "cells": _typed(pd.DataFrame([_about(cell, found) for cell in cells]), pa.schema(_CELLS)),
    }


def _requests(store: Store, cells: list[CellInfo], found: Found) -> pa.Table:
    fields = [pa.field(name, _CELLS[name]) for name in (*_OF_CELL, "cell")]
    schema = pa.schema([*fields, *SCHEMAS["requests"]])
    tables = []
    for cell in cells:
        frame = store.table(cell.key, "requests")
        if len(frame):
            about = _about(cell, Counter())
            named = frame.assign(**{name: about[name] for name in (*_OF_CELL, "cell")})
            for column in ("reason", "details"):
                named[column] = [cleaned(text, found) if text else text for text in named[column]]
            tables.append(_typed(named, schema))
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _about(cell: CellInfo, found: Found) -> dict[str, Any]:
    facts, fields = cell.facts, choose.FIELDS
    settings = clean(cell.settings, found)
    known = {name: fields[name](cell) for name in ("task", "dataset", "model", "method", "seed")}
    known |= {name: fields[name](cell) for name in ("scenario", "category", "fraction", "mark")}
    return known | {
        "cell": cell.key,
        "label": cleaned(name_of(cell), found),
        "fraction": _number(known["fraction"]),
        "audit": cell.audit,
        "device": facts.get("device"),
        "seconds": facts.get("seconds"),
        "created": cell.manifest["created"],
        "num_requests": facts.get("num_requests"),
        "split_hash": facts.get("split_hash"),
        "chain_hash": facts.get("chain_hash"),
        "versions": json.dumps(cell.manifest["versions"], sort_keys=True),
        "settings": json.dumps(settings, sort_keys=True),
    }


def _number(value: Any) -> float | None:
    return float(value) if value not in (None, "") else None


def _versions(cells: Iterable[CellInfo]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for cell in cells:
        for name, version in cell.manifest["versions"].items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(versions) for name, versions in found.items()}


def _typed(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """``frame`` with fixed columns and types, and without what pandas notes about itself."""
    if frame.empty:
        return schema.empty_table()
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    return table.replace_schema_metadata(None)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def _put(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
