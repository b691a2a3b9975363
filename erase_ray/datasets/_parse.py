"""Raw text files to Parquet files of typed columns, once per content; every fault has its line."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq

from erase_ray.datasets._archives import sha256_of
from erase_ray.datasets._scratch import Connection, Scratch
from erase_ray.errors import DataError

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised when the same file would be parsed to other columns."""
TYPES = {"text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "time": "TIMESTAMP"}
REJECTS = {
    "CAST": "not readable",
    "UNQUOTED VALUE": "badly quoted",
    "INVALID ENCODING": "not UTF-8",
    "INVALID UNICODE": "not UTF-8",
    "LINE SIZE OVER MAXIMUM": "too long",
}
"""Short names for DuckDB's kinds of errors; the others are about the number of fields."""


@dataclass(frozen=True)
class Column:
    """A field of a raw file that is wanted.

    Args:
        name: In the file.
        kind: ``text``, ``integer``, ``number`` or ``time`` (``YYYY-MM-DD HH:MM:SS`` in UTC, which
            becomes Unix seconds); for JSON lines also any structure of DuckDB's
            ``json_transform``, such as ``["VARCHAR"]``.
        to: Name in the result; the same without it.
        required: A row without a value is bad; else it has a null.
    """

    name: str
    kind: Any
    to: str = ""
    required: bool = True

    @property
    def target(self) -> str:
        """Name in the result."""
        return self.to or self.name

    @property
    def type(self) -> str:
        """Type of the field as DuckDB reads it."""
        return TYPES[self.kind]

    def picked(self, value: str) -> str:
        """SQL for the column of the result, made of ``value``, the SQL for the field."""
        if self.kind == "time":
            value = f"epoch({value})::BIGINT"
        return f"{value} AS {named(self.target)}"

    def tests(self, missing: str) -> list[tuple[str, str]]:
        """When a row of the result does not count, as :meth:`Parser.tests` says it.

        Args:
            missing: What is wrong where there is no value, such as ``is empty``.
        """
        tests = []
        if self.required:
            tests.append((f"{named(self.target)} IS NULL", f"{self.name} {missing}"))
        if self.kind == "number":
            finite = f"isfinite({named(self.target)})"
            tests.append((f"NOT {finite}", f"{self.name} is not a finite number"))
        return tests


@dataclass(frozen=True)
class Parsed:
    """Typed columns of a raw file.

    Args:
        path: A Parquet file with the rows in the order of the file.
        num_rows: Good rows.
        bad: Lines that were left out, by reason.
    """

    path: Path
    num_rows: int
    bad: dict[str, int]

    @property
    def num_bad(self) -> int:
        """Lines that were left out."""
        return sum(self.bad.values())


@dataclass(frozen=True)
class Fault:
    """Why a line is bad.

    Args:
        line: Number in the file, from 1.
        reason: In one line, without the place.
        kind: Short name under which such lines are counted.
    """

    line: int
    reason: str
    kind: str


class OpenQuoteError(DataError):
    """A quote that is never closed swallows what follows."""


class Parser(Protocol):
    """How to read one format: :mod:`_delimited` and :mod:`_json_lines`."""

    @property
    def first_line(self) -> int:
        """Number of the line that holds the first row."""
        ...

    def identity(self) -> dict[str, Any]:
        """All that can change the result, as plain values."""
        ...

    def query(self, path: Path) -> str:
        """SQL for the wanted columns of every line that can be read, in the order of the file.

        The scan must have ``store_rejects``, so that the other lines are noted.
        """
        ...

    def tests(self) -> list[tuple[str, str]]:
        """SQL conditions on the columns under which a row does not count, each with the reason.

        An empty reason marks a row that is no row, such as a blank line.
        """
        ...


def parse(path: Path, parser: Parser, scratch: Scratch, skip_bad: bool) -> Parsed:
    """The columns of a raw file, from the folder of an earlier parse of the same bytes if there.

    Args:
        path: The raw file.
        parser: Of its format.
        scratch: Columns are kept in its folder ``columns``, named by content and parser.
        skip_bad: Leave bad lines out, counted, instead of raising for the first one.

    Raises:
        DataError: The file cannot be read, has no rows, or has a bad line and ``skip_bad`` is
            False; the text names file, line and reason.
    """
    folder = scratch.folder / "columns"
    folder.mkdir(parents=True, exist_ok=True)
    name = _name(path, parser)
    out, facts = folder / f"{name}.parquet", folder / f"{name}.json"
    if out.exists() and facts.exists():
        known = json.loads(facts.read_text())
    else:
        known = _parsed(path, parser, scratch, out)
        _replace(facts, lambda partial: partial.write_text(json.dumps(known)))
    _judge(path, known, skip_bad)
    return Parsed(out, known["num_rows"], known["bad"])


def _parsed(path: Path, parser: Parser, scratch: Scratch, out: Path) -> dict[str, Any]:
    faults: list[Fault] = []

    def write(partial: Path) -> None:
        with scratch.duckdb() as db:
            db.execute(_copy(parser.query(path), partial))
            unread = rejected(db, path)
            faults.extend(unread.values())
            faults.extend(_unfit(db, parser, partial, sorted(unread)))

    with naming(path):
        _replace(out, write)
    bad: dict[str, int] = {}
    for fault in faults:
        bad[fault.kind] = bad.get(fault.kind, 0) + 1
    first = min(faults, key=lambda fault: fault.line, default=None)
    num_rows = pq.read_metadata(out).num_rows
    return {"num_rows": num_rows, "bad": bad, "first": asdict(first) if first else None}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the engine become those of a file.

    Raises:
        DataError: The engine cannot read the file.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"{path.name}: {first_line(str(error))}") from error


def _unfit(db: Connection, parser: Parser, out: Path, unread: list[int]) -> list[Fault]:
    """Take rows that do not count out of ``out`` again, and say where they were."""
    tests = parser.tests()
    wrong = " OR ".join(f"coalesce({test}, false)" for test, _ in tests) or "false"
    case = (
        " ".join(f"WHEN {test} THEN {quoted(text)}" for test, text in tests) or "WHEN true THEN ''"
    )
    rows = db.execute(
        f"SELECT file_row_number, CASE {case} END FROM "
        f"read_parquet({quoted(str(out))}, file_row_number = true) WHERE {wrong} "
        "ORDER BY file_row_number"
    ).fetchall()
    if rows:
        kept = out.with_name(f"{out.name}.kept")
        source = f"SELECT * FROM read_parquet({quoted(str(out))}) WHERE NOT ({wrong})"
        db.execute(_copy(source, kept))
        kept.replace(out)
    return [
        Fault(line_of(place + parser.first_line, unread), text, text)
        for place, text in rows
        if text
    ]


def _copy(query: str, out: Path) -> str:
    return f"COPY ({query}) TO {quoted(str(out))} (FORMAT parquet, COMPRESSION snappy)"


def _judge(path: Path, known: dict[str, Any], skip_bad: bool) -> None:
    first, num_bad = known["first"], sum(known["bad"].values())
    if first and not skip_bad:
        more = f" ({num_bad - 1} more bad lines)" if num_bad > 1 else ""
        raise DataError(
            f"{path.name}, line {first['line']}: {first['reason']}{more}; mend the file, or leave "
            "bad lines out with skip_bad"
        )
    if first:
        reasons = ", ".join(f"{count} {kind}" for kind, count in sorted(known["bad"].items()))
        logger.warning(
            "%s: left out %d bad lines (%s), the first is line %d: %s",
            path.name, num_bad, reasons, first["line"], first["reason"],
        )  # fmt: skip
    if not known["num_rows"]:
        raise DataError(f"{path.name} has no {'good ' if first else ''}rows")


def _name(path: Path, parser: Parser) -> str:
    """Hash of the bytes of the file and of what is made of them."""
    made = {"version": VERSION, "content": sha256_of(path), "parser": parser.identity()}
    text = json.dumps(made, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let a file appear complete or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def rejected(db: Connection, path: Path) -> dict[int, Fault]:
    """Lines that the last scan with ``store_rejects`` could not read, by number.

    Raises:
        OpenQuoteError: A quote is not closed in its line, so that more than the line is lost.
    """
    rows = db.execute(
        "SELECT line, error_type, min(error_message), min(csv_line) FROM reject_errors "
        "GROUP BY line, error_type ORDER BY line DESC"
    ).fetchall()
    for line, _, _, text in rows:
        if text and "\n" in text.strip():
            raise OpenQuoteError(
                f"{path.name}, line {line}: a quote is opened and not closed in its line; mend the "
                "file, or leave bad lines out with skip_bad"
            )
    return {
        line: Fault(line, _reason(message, text or ""), REJECTS.get(kind, "wrong number of fields"))
        for line, kind, message, text in rows
    }


def line_of(place: int, unread: list[int]) -> int:
    """Line number of the ``place``-th line that was read, given the numbers of the others."""
    for other in unread:
        place += other <= place
    return place


def _reason(message: str, text: str) -> str:
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return f"{first_line(message)} (the line is: {shown})"


def first_line(text: str) -> str:
    """The first sentence of an error of DuckDB, without its kind."""
    line = next((line for line in text.splitlines() if line.strip()), text)
    return line.split(" Error: ", 1)[-1].strip()[:200]


def whole_lines(path: Path, max_bytes: int) -> str:
    """SQL for a table with one column ``line``: the separator is in no text file.

    DuckDB would take 16 buffers of the longest line for each file.
    """
    return (
        f"read_csv({quoted(str(path))}, header = false, auto_detect = false, "
        "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', "
        f"max_line_size = {max_bytes}, buffer_size = {max_bytes}, "
        "strict_mode = false, store_rejects = true)"
    )


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def named(text: str) -> str:
    """A text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'
