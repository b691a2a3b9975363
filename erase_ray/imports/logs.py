"""Metrics in the logs of RecBole and of its fork; nothing in a log is evaluated."""

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from erase_ray.imports.errors import ForeignFileError
from erase_ray.imports.names import CHECKPOINTS, Artefact, parse

MOST_LINE = 1 << 16
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BETWEEN_NAMES = re.compile(r"[^\w.+-]+")
_RESULT = re.compile(r"test result\s*:\s*OrderedDict\((.*)\)\s*$")
_ANY_RESULT = re.compile(r"test result\s*:")
_NUMPY = re.compile(r"np\.float(?:32|64)\(([^()]*)\)")
_METRIC = re.compile(r"([a-z_]+)@(\d+)")


@dataclass(frozen=True)
class Value:
    """One number of a log.

    Args:
        metric: RecBole's name, lower case.
        k: Cut-off.
        value: As printed.
    """

    metric: str
    k: int
    value: float


@dataclass(frozen=True)
class LoggedResult:
    """A line ``test result``.

    Args:
        about: The checkpoint named last before it; None if none was.
        line: Number of the line, from 1.
        values: What it says.
    """

    about: Artefact | None
    line: int
    values: tuple[Value, ...]


def read_log(path: Path) -> list[LoggedResult]:
    """All test results of a log, in order.

    A result belongs to the checkpoint that was named last before it, as RecBole names a file when
    it saves one and when it loads one to test it.

    Raises:
        ForeignFileError: The file cannot be read, or a result is not of the known form.
    """
    return list(_results(path))


def _results(path: Path) -> Iterator[LoggedResult]:
    about: Artefact | None = None
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, raw in enumerate(_lines(path, file), 1):
                line = _COLOURS.sub("", raw)
                about = _named(line) or about
                if _ANY_RESULT.search(line):
                    yield LoggedResult(about, number, _values(path, number, line))
    except OSError as error:
        raise ForeignFileError(f"cannot read {path}: {error.strerror}") from error


def _named(line: str) -> Artefact | None:
    """The last checkpoint that a line names."""
    names = [name for name in _BETWEEN_NAMES.split(line) if name.endswith(".pth")]
    found = [artefact for name in names if (artefact := parse(name))]
    return next((one for one in reversed(found) if one.kind in CHECKPOINTS), None)


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE:
            raise ForeignFileError(f"{path.name} has a line of more than {MOST_LINE} characters")
        yield line


def _values(path: Path, number: int, line: str) -> tuple[Value, ...]:
    where = f"{path.name}, line {number}"
    match = _RESULT.search(line.rstrip())
    if not match:
        raise ForeignFileError(f"{where}: a test result that is no OrderedDict([('recall@10', ...")
    try:
        content = ast.literal_eval(_NUMPY.sub(r"\1", match[1]))
        pairs = dict(content).items()
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ForeignFileError(f"{where}: a test result that is no list of pairs") from error
    return tuple(_value(where, name, value) for name, value in pairs)


def _value(where: str, name: object, value: object) -> Value:
    match = _METRIC.fullmatch(name.lower()) if isinstance(name, str) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if match is None or not is_number or not math.isfinite(float(value)):  # type: ignore
        raise ForeignFileError(f"{where}: {str(name)[:40]!r}: {str(value)[:40]!r} is no metric")
    return Value(match[1], int(match[2]), float(value))  # type: ignore
