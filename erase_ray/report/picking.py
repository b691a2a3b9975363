"""Parts of frames, with the types that pandas leaves open."""

from collections.abc import Hashable
from typing import Any

import pandas as pd


def pick(frame: pd.DataFrame, mask: Any) -> pd.DataFrame:
    """The rows of ``frame`` where ``mask`` is true."""
    return pd.DataFrame(frame.loc[mask])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of ``frame`` as plain values by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def groups(frame: pd.DataFrame, by: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows of each combination of values, sorted; missing values are a value."""
    found: list[tuple[tuple[Any, ...], pd.DataFrame]] = []
    for name, rows in frame.groupby(by, sort=True, dropna=False):
        found.append((_tuple(name), rows))
    return found


def _tuple(name: Hashable) -> tuple[Any, ...]:
    return name if isinstance(name, tuple) else (name,)


def aggregated(frame: pd.DataFrame, by: list[str], column: str, how: str = "mean") -> pd.DataFrame:
    """One row a combination of the values of ``by``, with ``how`` of a column; sorted."""
    return pd.DataFrame(frame.groupby(by, sort=True).agg({column: how}).reset_index())
