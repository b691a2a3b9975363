"""Text tables: a header, fields between separators."""

import csv
import gzip
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from erase_ray.datasets._parse import (
    Column,
    OpenQuoteError,
    Parsed,
    Scratch,
    named,
    parse,
    quoted,
)
from erase_ray.errors import DataError

logger = logging.getLogger(__name__)

OTHER_SEPARATORS = ",;\t|"


def parse_delimited(
    path: Path,
    columns: tuple[Column, ...],
    scratch: Scratch,
    *,
    skip_bad: bool = False,
    separator: str = ",",
    quote: str = '"',
    header: tuple[str, ...] | None = None,
) -> Parsed:
    """The wanted columns of a text table.

    Args:
        path: The file; gzipped if its name ends in ``.gz``.
        columns: What is wanted; the file may have more, in any order.
        scratch: Where the result is kept.
        skip_bad: Leave bad lines out, counted, instead of raising for the first one.
        separator: One character.
        quote: Character around fields that hold a separator; empty if there is none.
        header: Column names of a file without a header line.

    Raises:
        DataError: See :func:`erase_ray.datasets._parse.parse`; also a header without one of
            ``columns``.
    """
    found = header or read_header(path, separator, quote)
    wanted = [column.name for column in columns]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(
            f"{path.name}, line 1: the header lacks {', '.join(missing)}; it has "
            f"{', '.join(found)[:200]}{_hint(found, separator)}"
        )
    layout = Layout(tuple(found), columns, separator, quote, header is None)
    try:
        return parse(path, layout, scratch, skip_bad)
    except OpenQuoteError as error:
        if not skip_bad:
            raise
        logger.warning("%s; reading it line by line", error)
        return _parse_closed(path, layout, scratch)


def _parse_closed(path: Path, layout: "Layout", scratch: Scratch) -> Parsed:
    """What is in the lines whose quotes are closed; slow, as each line is looked at."""
    with tempfile.TemporaryDirectory(dir=scratch.folder) as folder:
        copy = Path(folder) / path.name.removesuffix(".gz")
        num_open = _copy_closed(path, copy, layout)
        parsed = parse(copy, layout, scratch, skip_bad=True)
    logger.warning("%s: left out %d lines with a quote that is not closed", path.name, num_open)
    return replace(parsed, bad=parsed.bad | {"badly quoted": num_open})


def _copy_closed(path: Path, copy: Path, layout: "Layout") -> int:
    """Copy all lines but those with an open quote, whose number is returned."""
    num_open = 0
    with _opened(path) as source, copy.open("wb") as target:
        for line in source:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            quoting: dict[str, Any] = {"delimiter": layout.separator, "quotechar": layout.quote}
            try:
                next(csv.reader([text], strict=True, **quoting), None)
                target.write(line)
            except csv.Error:
                num_open += 1
    return num_open


@dataclass(frozen=True)
class Layout:
    """How to read one text table; see :func:`parse_delimited`."""

    header: tuple[str, ...]
    columns: tuple[Column, ...]
    separator: str
    quote: str
    has_header: bool

    @property
    def first_line(self) -> int:
        """After the header, if there is one."""
        return 1 + self.has_header

    def identity(self) -> dict[str, Any]:
        """All fields."""
        return {"format": "delimited"} | asdict(self)

    def query(self, path: Path) -> str:
        """The wanted columns."""
        types = {column.name: column.type for column in self.columns}
        names = ", ".join(
            f"{quoted(name)}: {quoted(types.get(name, 'VARCHAR'))}" for name in self.header
        )
        picked = ", ".join(column.picked(named(column.name)) for column in self.columns)
        return (
            f"SELECT {picked} FROM read_csv({quoted(str(path))}, auto_detect = false, "
            f"header = {str(self.has_header).lower()}, delim = {quoted(self.separator)}, "
            f"quote = {quoted(self.quote)}, escape = {quoted(self.quote)}, nullstr = '', "
            f"columns = {{{names}}}, max_line_size = 16777216, "
            "timestampformat = '%Y-%m-%d %H:%M:%S', store_rejects = true)"
        )

    def tests(self) -> list[tuple[str, str]]:
        """A repeated header, an empty field, a number that is none."""
        texts = [column for column in self.columns if column.kind == "text"]
        tests = [
            (f"{named(c.target)} = {quoted(c.name)}", "the line is the header again")
            for c in texts[:1]
            if self.has_header
        ]
        return tests + [test for column in self.columns for test in column.tests("is empty")]


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def read_header(path: Path, separator: str, quote: str) -> list[str]:
    """Column names in the first line of a text table.

    Raises:
        DataError: The file cannot be read or has no first line.
    """
    try:
        with _opened(path) as file:
            text = file.readline().decode("utf-8-sig")
    except (OSError, EOFError, UnicodeError) as error:
        raise DataError(f"{path.name}, line 1: cannot be read ({error})") from error
    if not text.strip():
        raise DataError(f"{path.name} is empty; expected a header line")
    quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    return [name.strip() for name in next(csv.reader([text], delimiter=separator, **quoting))]


def _hint(found: Sequence[str], separator: str) -> str:
    if len(found) > 1:
        return ""
    others = [other for other in OTHER_SEPARATORS if other != separator and other in found[0]]
    return f"; are the fields separated by {others[0]!r}, not {separator!r}?" if others else ""
