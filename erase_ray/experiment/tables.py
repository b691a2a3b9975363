"""The stored tables as Parquet: fixed columns, fixed types, same frame, same bytes."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.errors import StoreError
from erase_ray.experiment.results import OBSERVED, RANKED, REQUESTS, RESULTS

_FLOATS = {
    "fraction",
    "value",
    "step_norm",
    "seconds_data",
    "seconds_algorithm",
    "seconds_save",
}
_INTEGERS = {
    "seed",
    "mark",
    "k",
    "n",
    "request",
    "user",
    "row",
    "query",
    "num_rows",
    "num_forget",
    "num_cleaned",
    "num_gradients",
    "num_hvps",
    "example",
}
_TYPES = (
    dict.fromkeys(("items", "relevant"), pa.list_(pa.int32()))
    | dict.fromkeys(("exposed_rank", "exposed_mass"), pa.float32())
    | {"member": pa.bool_()}
)


def _schema(columns: tuple[str, ...]) -> pa.Schema:
    return pa.schema([pa.field(name, _type(name)) for name in columns])


def _type(column: str) -> pa.DataType:
    if column in _FLOATS:
        return pa.float64()
    if column in _INTEGERS:
        return pa.int64()
    return _TYPES.get(column, pa.string())


SCHEMAS = {
    "results": _schema(RESULTS),
    "costs": _schema(RESULTS),
    "requests": _schema(REQUESTS),
    "ranked": _schema(RANKED),
    "observed": _schema(OBSERVED),
}
"""Columns and types of each stored table, by name."""


def to_parquet(name: str, frame: pd.DataFrame) -> bytes:
    """``frame`` as the stored table ``name``; its index is not kept, NaN becomes a missing value.

    An empty frame may lack the columns.

    Raises:
        StoreError: A column is missing or too many, or values do not fit its type.
    """
    schema = SCHEMAS[name]
    table = schema.empty_table() if frame.empty else _converted(name, frame, schema)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(data: bytes) -> pd.DataFrame:
    """The frame in a stored table; lists come back as int32 arrays, missing numbers as NaN."""
    return pq.read_table(pa.BufferReader(data)).to_pandas()


def _converted(name: str, frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    missing = [column for column in schema.names if column not in frame.columns]
    extra = [column for column in frame.columns if column not in schema.names]
    if missing or extra:
        raise StoreError(
            f"table '{name}' lacks the columns {missing} and has the unknown columns {extra}"
        )
    try:
        table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    except (pa.ArrowException, TypeError) as error:
        raise StoreError(f"table '{name}' does not fit its types: {error}") from error
    # pandas leaves its version and dtypes in the metadata, which would change the bytes
    return table.replace_schema_metadata(None)
