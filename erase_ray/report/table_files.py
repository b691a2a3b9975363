"""Typed frames as Parquet, CSV, Markdown and LaTeX."""

import io
from collections.abc import Callable, Mapping

import pandas as pd

from erase_ray.errors import SettingsError

TABLE_FORMATS = ("parquet", "csv", "markdown", "latex")
FIGURE_FORMATS = ("svg", "png")
FORMATS = ("html", *TABLE_FORMATS, *FIGURE_FORMATS)
DEFAULT_FORMATS = ("html", "parquet", "csv", "svg")
ENDINGS = {"parquet": "parquet", "csv": "csv", "markdown": "md", "latex": "tex"}
LONG = ("grid", "cells", "trace", "versions")
"""Columns that only machines read; texts leave them out."""


def parse_formats(text: str) -> tuple[str, ...]:
    """Formats from ``html,csv`` or ``all``, in a fixed order.

    Raises:
        SettingsError: One of them is unknown, or there is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in (*FORMATS, "all")]
    if unknown or not names:
        wrong = f"no format is called '{unknown[0]}'" if unknown else "--format names no format"
        raise SettingsError(f"{wrong}. Known: all, {', '.join(FORMATS)}")
    return FORMATS if "all" in names else tuple(name for name in FORMATS if name in names)


def table_file(frame: pd.DataFrame, kind: str) -> bytes:
    """``frame`` in one of ``TABLE_FORMATS``; the same frame gives the same bytes."""
    return _WRITERS[kind](frame)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _markdown(frame: pd.DataFrame) -> bytes:
    shown = _texts(frame)
    rows = [[_piped(value) for value in row] for row in shown.itertuples(index=False)]
    lines = [_row(list(shown.columns)), _row(["---"] * shown.shape[1]), *map(_row, rows)]
    return ("\n".join(lines) + "\n").encode()


def _latex(frame: pd.DataFrame) -> bytes:
    shown = _texts(frame)
    columns = "l" * shown.shape[1]
    head = " & ".join(map(_escaped, shown.columns))
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in shown.itertuples(index=False)]
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every value as a text, numbers with four significant digits, missing ones empty."""
    kept = frame.drop(columns=[name for name in LONG if name in frame.columns])
    return pd.DataFrame({str(name): [_text(each) for each in kept[name].tolist()] for name in kept})


def _text(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _row(values: list[str]) -> str:
    return f"| {' | '.join(values)} |"


def _piped(value: str) -> str:
    return value.replace("|", r"\|").replace("\n", " ")


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u00d7": r"$\times$",
    "\n": " ",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}


def _escaped(value: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in value)


_WRITERS: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    "parquet": _parquet,
    "csv": _csv,
    "markdown": _markdown,
    "latex": _latex,
}
