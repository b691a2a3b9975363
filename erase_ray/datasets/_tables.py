"""Read text tables so that an error names the file and the line."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path,
                sep=separator,
                names=names,
                header=0 if names is None else None,
                index_col=False,
                dtype=str,
                encoding=encoding,
                keep_default_na=False,
                quoting=0 if separator == "," else 3,
            )
    except (
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
        pd.errors.ParserWarning,
        UnicodeError,
    ) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path.name}: {reason}") from error
    table.attrs["first_line"] = 2 if names is None else 1
    short = np.asarray(table.isna().to_numpy().any(axis=1))
    if short.any():
        raise DataError(f"{where(path, table, short)}: too few fields, expected {table.shape[1]}")
    return table


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
