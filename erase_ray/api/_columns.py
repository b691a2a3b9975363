"""The columns of a user's data frame, checked and as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.data.clean import distinct
from erase_ray.data.ids import Ids
from erase_ray.datasets import _own_rows as own
from erase_ray.errors import DataError
from erase_ray.registry import known_names

KNOWN = ("user", "item", "session", "basket", "time")
"""What a column can be for; its name unless ``columns`` says another."""
_SECOND = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Columns:
    """The rows of a frame, in its order.

    Args:
        rows: Who, what and when.
        sequence: What each row belongs to: a user, or a session.
        task: Name of the task that they are read for.
    """

    rows: own.Rows
    sequence: Ids
    task: str

    @classmethod
    def of(cls, frame: pd.DataFrame, task: str, columns: Mapping[str, str]) -> "Columns":
        """The columns that a task needs.

        Args:
            frame: One row an interaction.
            task: ``cf``, ``session_based`` or ``next_basket``.
            columns: Names in the frame by what they are for, where they differ.

        Raises:
            DataError: A column is missing, an id or a time is missing, or a time is no time.
        """
        names = _names(frame, columns)
        _check(frame, names, task)
        ids = {what: _ids(frame, names[what]) for what in KNOWN[:4] if what in names}
        item, session = ids["item"], ids.get("session") if task == "session_based" else None
        user = ids["user"] if "user" in ids else ids["session"]
        time = _times(frame, names["time"]) if "time" in names else np.arange(len(frame))
        rows = own.Rows(user, item, time, session, ids.get("basket"), "time" in names)
        return cls(rows, _sequence(user, session), task)


def _names(frame: Any, columns: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"interactions must be a pandas DataFrame, got {type(frame).__name__}")
    for what, name in columns.items():
        if what not in KNOWN:
            raise DataError(f"columns has the key '{what}'.{known_names(what, list(KNOWN))}")
        if name not in frame:
            listed = ", ".join(map(str, frame.columns))
            raise DataError(f"the frame has no column '{name}' ({what}); it has {listed}")
    found = {what: what for what in KNOWN if what in frame} | dict(columns)
    for what, name in found.items():
        if isinstance(frame[name], pd.DataFrame):
            raise DataError(f"the frame has several columns '{name}' ({what})")
    return found


def _check(frame: pd.DataFrame, names: Mapping[str, str], task: str) -> None:
    wanted = {"cf": ("user",), "session_based": ("session", "user"), "next_basket": ("user",)}
    needs = [("item",), wanted[task]]
    if task == "next_basket":
        needs.append(("basket", "time"))
    for choice in needs:
        if not any(what in names for what in choice):
            listed = ", ".join(map(str, frame.columns)) or "none"
            raise DataError(
                f"task '{task}' needs a column '{' or '.join(choice)}'; the frame has {listed}. "
                f"Say which it is: columns={{'{choice[0]}': NAME}}"
            )
    if not len(frame):
        raise DataError("the frame of interactions has no rows")


def _ids(frame: pd.DataFrame, name: str) -> Ids:
    column = frame[name]
    missing = int(column.isna().to_numpy().sum())
    if missing:
        raise DataError(
            f"{missing} of {len(column)} ids in column '{name}' are missing (NaN); drop these rows"
        )
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy(np.float64)
        if not np.array_equal(values, np.floor(values)):
            raise DataError(f"column '{name}' holds fractions such as {values[0]:g}, no ids")
        column = column.astype("int64")  # what a missing value has made of integers
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object:
        column = column.map(str)
    return Ids.of(column.to_numpy())


def _times(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Unix seconds, or another unit that only grows where that would lose something; int64."""
    column = frame[name]
    missing = int(column.isna().to_numpy().sum())
    if missing:
        raise DataError(f"{missing} of {len(column)} times in column '{name}' are missing (NaN)")
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz else column
        number = stamps.to_numpy("datetime64[ns]").astype(np.int64)
        return number // _SECOND if not (number % _SECOND).any() else number
    if not pd.api.types.is_numeric_dtype(column) or column.dtype == bool:
        raise DataError(
            f"column '{name}' is {column.dtype}, no time; use pandas.to_datetime, or numbers"
        )
    values = column.to_numpy()
    if not np.isfinite(values.astype(np.float64)).all():
        raise DataError(f"column '{name}' holds a time that is not finite")
    whole = values.astype(np.int64)
    if np.array_equal(whole, values):
        return whole
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _sequence(user: Ids, session: Ids | None) -> Ids:
    """The sequence of each row; sessions whose ids begin anew for each user are kept apart."""
    if session is None:
        return user
    is_first = distinct(session.codes, user.codes)
    is_shared = is_first.sum() > session.used().sum()
    return own.joined(user, session, "/") if is_shared else session
