"""A chain of requests as Parquet files, always the same bytes for the same chain."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.scenarios import Chain, RequestSpec

REQUESTS, PROBE, ITEMS, POISON = (
    f"{name}.parquet" for name in ("chain", "probe", "items", "poison")
)
_POISON_COLUMNS = ("row", *COLUMNS)


def facts(chain: Chain) -> dict[str, Any]:
    """What the manifest says of a chain."""
    return {
        "hash": chain.hash,
        "num_requests": len(chain),
        "num_wishes": sum(request.num_wishes for request in chain.requests),
        "marks": list(chain.marks),
        "num_rows": [len(chain.rows(served)) for served in chain.marks],
        "num_probe": len(chain.probe),
        "probes_all": chain.probes_all,
        "num_items": int(chain.items.sum()),
        "num_poison": 0 if chain.poison is None else len(chain.poison),
    }


def to_files(chain: Chain) -> dict[str, bytes]:
    """The content of each file, by name; ``poison.parquet`` only where there are fakes."""
    marks = chain.item_marks
    files = {
        REQUESTS: {
            "users": _lists([request.users for request in chain.requests]),
            "rows": _lists([request.rows for request in chain.requests]),
            "num_wishes": [request.num_wishes for request in chain.requests],
        },
        PROBE: {"user": chain.probe},
        ITEMS: {
            "counts": chain.items,
            # what counts from the first mark on is marked 0 where no item says otherwise
            "mark": np.zeros(len(chain.items), np.int8) if marks is None else marks,
        },
    }
    if chain.poison is not None:
        files[POISON] = {name: getattr(chain.poison, name) for name in _POISON_COLUMNS}
    return {name: _written(columns) for name, columns in files.items()}


def from_files(files: dict[str, bytes], manifest: dict[str, Any]) -> Chain:
    """The chain again, from checked files and what the manifest says of it."""
    requests = _read(files[REQUESTS])
    users, rows = (_split(requests[name]) for name in ("users", "rows"))
    wishes = requests["num_wishes"].to_pylist()
    items = _read(files[ITEMS])
    marks = items["mark"].to_numpy().astype(np.int8)
    return Chain(
        requests=tuple(
            RequestSpec(number, *parts)
            for number, parts in enumerate(zip(users, rows, wishes, strict=True))
        ),
        probe=_read(files[PROBE])["user"].to_numpy().astype(np.int64),
        items=items["counts"].to_numpy().astype(bool),
        poison=_poison(files[POISON], len(items)) if POISON in files else None,
        probes_all=manifest["probes_all"],
        item_marks=marks if (marks > 0).any() else None,
    )


def _poison(data: bytes, num_items: int) -> Interactions:
    table = _read(data)
    columns = {name: table[name].to_numpy() for name in _POISON_COLUMNS}
    return Interactions(
        **columns,
        num_users=int(columns["user"].max()) + 1,
        num_items=num_items,
        num_sequences=int(columns["sequence"].max()) + 1,
    )


def _lists(arrays: list[np.ndarray]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, arrays)])
    return pa.LargeListArray.from_arrays(offsets, np.concatenate(arrays).astype(np.int64))


def _split(column: pa.ChunkedArray) -> list[np.ndarray]:
    whole = column.combine_chunks()
    ends = np.cumsum(whole.value_lengths().to_numpy())
    return np.split(whole.flatten().to_numpy(), ends[:-1])


def _written(columns: dict[str, Any]) -> bytes:
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", store_schema=False)
    return buffer.getvalue()


def _read(data: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(data))
