"""Idomaar lines: type, id, time and two JSON objects, properties and relations."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from erase_ray.datasets._parse import named, quoted, whole_lines

BLANK = "blank"
MAX_LINE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Idomaar:
    """A parser of one kind of lines.

    Fields are separated by tabs. In files of relations both objects are in the fourth field with a
    blank between them, in files of entities the second one is a field of its own; either is read.

    Args:
        kind: Type that each line must have, such as ``event.session``.
        columns: SQL for each column of the result, made of ``id``, ``time`` (integer or NULL) and
            the structs ``properties`` and ``relations``.
        properties: Wanted keys of the first object, as DuckDB's ``json_transform`` wants them;
            without any the object is not looked at.
        relations: The same of the second object.
        checks: More conditions that make a line bad, in the same terms, each with the reason.
    """

    kind: str
    columns: dict[str, str]
    properties: dict[str, Any]
    relations: dict[str, Any]
    checks: tuple[tuple[str, str], ...] = ()
    first_line: int = 1

    def identity(self) -> dict[str, Any]:
        """All fields."""
        return {"format": "idomaar"} | asdict(self)

    def query(self, path: Path) -> str:
        """The columns, and the reason why a line is bad as ``fault``."""
        case = " ".join(f"WHEN {test} THEN {quoted(reason)}" for test, reason in self._faults())
        picked = ", ".join(f"{value} AS {named(name)}" for name, value in self.columns.items())
        return f"SELECT {picked}, CASE {case} END AS fault FROM ({self._objects(path)})"

    def tests(self) -> list[tuple[str, str]]:
        """What :meth:`query` found."""
        faults = (reason for _, reason in self._faults() if reason != BLANK)
        return [
            (f"fault = {quoted(BLANK)}", ""),
            *((f"fault = {quoted(reason)}", reason) for reason in faults),
        ]

    def _faults(self) -> list[tuple[str, str]]:
        faults = [
            ("num_fields = 1 AND trim(kind) = ''", BLANK),
            ("num_fields NOT IN (4, 5)", "expected 4 or 5 fields between tabs"),
            (f"kind <> {quoted(self.kind)}", f"expected a line of type {self.kind}"),
            ("id = ''", "the id is empty"),
            ("relations IS NULL", "expected a JSON object with relations at the end"),
        ]
        if self.properties:
            faults.append(("properties IS NULL", "expected a JSON object with properties"))
        return [*faults, *self.checks]

    def _objects(self, path: Path) -> str:
        lines = whole_lines(path, MAX_LINE_BYTES)
        fields = f"SELECT string_split(coalesce(line, ''), chr(9)) AS fields FROM {lines}"
        split = (
            "SELECT fields, len(fields) AS num_fields, "
            f"CASE WHEN len(fields) = 4 THEN instr(fields[4], {quoted('} {')}) ELSE 0 END AS gap "
            f"FROM ({fields})"
        )
        first = "CASE WHEN gap > 0 THEN substr(fields[4], 1, gap) ELSE fields[4] END"
        second = "CASE WHEN gap > 0 THEN substr(fields[4], gap + 2) ELSE fields[5] END"
        texts = (
            "SELECT fields[1] AS kind, coalesce(fields[2], '') AS id, num_fields, "
            f"try_cast(fields[3] AS BIGINT) AS time, {first} AS first, {second} AS second "
            f"FROM ({split})"
        )
        return (
            "SELECT kind, id, time, num_fields, "
            f"{_struct('first', self.properties)} AS properties, "
            f"{_struct('second', self.relations)} AS relations FROM ({texts})"
        )


def _struct(text: str, wanted: dict[str, Any]) -> str:
    """The wanted keys of an object; NULL if the text is none."""
    if not wanted:
        return "NULL"
    is_object = f"json_valid({text}) AND starts_with(ltrim({text}), {quoted('{')})"
    return f"json_transform(CASE WHEN {is_object} THEN {text} END, {quoted(json.dumps(wanted))})"
