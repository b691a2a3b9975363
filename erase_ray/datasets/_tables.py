"""Read text tables so that an error names the file and the line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from erase_ray.errors import DataError


def read_text_table(
    path: Path,
    separator: str,
    names: list[str] | None = None,
    encoding: str = "utf-8",
) -> pd.DataFrame:
    """All fields as text, nothing quoted unless the separator is a comma.

    Args:
        path: The file.
        separator: One character between the fields.
        names: Column names of a file without a header; without them the first line is the header.
        encoding: Of the file.

    Raises:
        DataError: A line has too many or too few fields, or the file is empty or not text.
    """
    if names is None:
        names, first_line = _header(path, separator, encoding), 2
    else:
        first_line = 1
    reading = csv.ReadOptions(
        use_threads=False, column_names=names, skip_rows=first_line - 1, encoding=encoding
    )
    parsing = csv.ParseOptions(
        delimiter=separator,
        quote_char='"' if separator == "," else False,
        ignore_empty_lines=False,  # they would spoil the line numbers
    )
    texts = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    try:
        table = csv.read_csv(path, reading, parsing, texts)
    except (pa.ArrowException, UnicodeError) as error:
        reason = " ".join(str(error).split()).removeprefix("CSV parse error: ")
        raise DataError(f"{path.name}: {reason[:200]}") from error
    frame = table.to_pandas()
    frame.attrs["first_line"] = first_line
    return frame


def _header(path: Path, separator: str, encoding: str) -> list[str]:
    try:
        with path.open(encoding=encoding) as file:
            return file.readline().rstrip("\r\n").split(separator)
    except UnicodeError as error:
        raise DataError(f"{path.name}: {error}") from error


def require(table: pd.DataFrame, columns: list[str], path: Path) -> None:
    """Check the header.

    Raises:
        DataError: A column is not there.
    """
    missing = [name for name in columns if name not in table]
    if missing:
        raise DataError(f"{path.name} lacks the columns {missing}; it has {list(table.columns)}")


def numbers(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column of text as float64, shape ``(R,)``.

    Raises:
        DataError: A field is not a finite number.
    """
    values = np.asarray(pd.to_numeric(table[column], errors="coerce"), np.float64)
    _refuse(np.asarray(~np.isfinite(values)), "a number", table, column, path)
    return values


def integers(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column of text as int64, shape ``(R,)``; numbers over 2**53 would be rounded.

    Raises:
        DataError: A field is not a whole number.
    """
    values = numbers(table, column, path)
    _refuse(values != np.floor(values), "a whole number", table, column, path)
    return values.astype(np.int64)


def where(path: Path, table: pd.DataFrame, wrong: np.ndarray) -> str:
    """File and line of the first row that is marked True."""
    return f"{path.name}, line {int(wrong.argmax()) + table.attrs.get('first_line', 1)}"


def _refuse(wrong: np.ndarray, what: str, table: pd.DataFrame, column: str, path: Path) -> None:
    if wrong.any():
        text = table[column].to_numpy()[wrong.argmax()]
        raise DataError(f"{where(path, table, wrong)}: {column} '{text}' is not {what}")
