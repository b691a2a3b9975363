"""CSV files of any length from columns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def write_csv(path: Path, columns: Mapping[str, Any], quote_all: bool = False) -> None:
    """Write columns under a header, in their order.

    Args:
        path: The file; it is replaced.
        columns: Arrays or lists of one length by name; a null is an empty field.
        quote_all: Whether each field is in double quotes, or only those that need them.
    """
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    quoting = ", FORCE_QUOTE *" if quote_all else ""
    target = str(path).replace("'", "''")
    import duckdb

    with duckdb.connect() as db:
        db.register("lines", table)
        db.execute(f"COPY (FROM lines) TO '{target}' (FORMAT csv, HEADER{quoting})")


def padded(numbers: np.ndarray, width: int) -> list[str]:
    """Numbers as texts with leading zeros."""
    return [f"{number:0{width}d}" for number in numbers.tolist()]
