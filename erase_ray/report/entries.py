"""Entries of tables from values of frames, where anything may be missing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from erase_ray.report.numbers import MINUS
from erase_ray.report.sheets import Entry, missing

FILTERS = ("task", "dataset", "model", "method")
"""By which long tables can be filtered."""


def is_known(value: Any) -> bool:
    """True for a finite number."""
    return value is not None and value is not pd.NA and math.isfinite(float(value))


def signed(value: float, decimals: int = 1) -> str:
    """A number with its sign."""
    return f"{value:+.{decimals}f}".replace("-", MINUS)


def number(value: Any, text: Callable[[float], str]) -> Entry:
    """A number as ``text`` writes it; a dash where there is none."""
    return Entry(text(float(value)), float(value)) if is_known(value) else missing()


def cut(text: str, most: int = 48) -> str:
    """``text``, cut with an ellipsis if it is longer than ``most`` letters."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def plain_text(value: Any) -> str:
    """A text; empty where there is none."""
    return "" if value is None or value is pd.NA else str(value)


def filter_keys(rows: pd.DataFrame) -> dict[str, Sequence[str]]:
    """What the rows of a sheet can be filtered by."""
    return {name: rows[name].astype(object).fillna("").map(str).tolist() for name in FILTERS}
