"""Files with one JSON object a line."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from erase_ray.datasets._parse import (
    TYPES,
    Column,
    Parsed,
    Scratch,
    named,
    parse,
    quoted,
    whole_lines,
)

MAX_LINE_BYTES = 64 * 2**20


def parse_json_lines(
    path: Path, columns: tuple[Column, ...], scratch: Scratch, *, skip_bad: bool = False
) -> Parsed:
    """The wanted keys of the object in each line.

    A value of another kind than asked for (a text where an integer is expected) counts as missing;
    blank lines are no lines.

    Args:
        path: The file; gzipped if its name ends in ``.gz``.
        columns: What is wanted; objects may have more keys, in any order.
        scratch: Where the result is kept.
        skip_bad: Leave bad lines out, counted, instead of raising for the first one.

    Raises:
        DataError: See :func:`erase_ray.datasets._parse.parse`.
    """
    return parse(path, JsonLines(columns), scratch, skip_bad)


@dataclass(frozen=True)
class JsonLines:
    """Which keys to take from each object."""

    columns: tuple[Column, ...]
    first_line: int = 1

    def identity(self) -> dict[str, Any]:
        """All fields."""
        return {"format": "json lines"} | asdict(self)

    def query(self, path: Path) -> str:
        """The wanted keys, and ``is_json``: null for a blank line."""
        judged = (
            "SELECT line, CASE WHEN trim(coalesce(line, '')) <> '' "
            "THEN json_valid(line) AND starts_with(ltrim(line), '{') END "
            f"AS is_json FROM {whole_lines(path, MAX_LINE_BYTES)}"
        )
        wanted = json.dumps({column.name: _structure(column.kind) for column in self.columns})
        object_ = f"json_transform(CASE WHEN is_json THEN line END, {quoted(wanted)})"
        picked = ", ".join(column.picked(f"object.{named(column.name)}") for column in self.columns)
        return (
            f"SELECT {picked}, is_json FROM (SELECT is_json, {object_} AS object FROM ({judged}))"
        )

    def tests(self) -> list[tuple[str, str]]:
        """No object, or a value that is missing or of another kind."""
        tests = [("is_json IS NULL", ""), ("NOT is_json", "not a JSON object")]
        for column in self.columns:
            tests += column.tests("is missing or of another kind")
            if column.kind == "text" and column.required:
                tests.append((f"{named(column.target)} = ''", f"{column.name} is empty"))
        return tests


def _structure(kind: Any) -> Any:
    return TYPES.get(kind, kind) if isinstance(kind, str) else kind
