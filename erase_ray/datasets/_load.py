"""Parsed columns into memory: texts as numbers into a list of texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from erase_ray.data.ids import Ids
from erase_ray.datasets._parse import Parsed

BATCH_ROWS = 1_000_000


def load(
    parsed: Parsed, texts: tuple[str, ...] = (), numbers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Columns of a parsed file by name: :class:`Ids` for ``texts``, arrays for ``numbers``.

    Raises:
        ValueError: A value is missing; such rows have to be left out before.
    """
    columns: dict[str, Any] = {name: load_ids(parsed.path, name) for name in texts}
    return columns | {name: load_numbers(parsed.path, name) for name in numbers}


def load_ids(path: Path, column: str) -> Ids:
    """A column of texts of a Parquet file, without ever holding the texts of all rows.

    Raises:
        ValueError: A text is missing.
    """
    file = pq.ParquetFile(path, read_dictionary=[column])
    chunks = []
    for batch in file.iter_batches(BATCH_ROWS, columns=[column]):
        array = batch.column(0)
        if array.null_count:
            raise ValueError(f"column {column} of {path.name} has {array.null_count} nulls")
        chunks.append(array)
    return Ids.of_chunks(chunks)


def load_numbers(path: Path, column: str) -> np.ndarray:
    """A column of numbers of a Parquet file, without nulls, shape ``(R,)``."""
    file = pq.ParquetFile(path)
    parts = [
        batch.column(0).to_numpy() for batch in file.iter_batches(BATCH_ROWS, columns=[column])
    ]
    return np.concatenate(parts) if parts else np.zeros(0)
