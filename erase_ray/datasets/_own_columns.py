"""A user's own table of interactions to typed columns: any separator, RecBole, Parquet."""

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from erase_ray.datasets._archives import sha256_of
from erase_ray.datasets._delimited import parse_delimited, read_header
from erase_ray.datasets._parse import Column, Parsed, named, naming, quoted
from erase_ray.datasets._scratch import Connection, Scratch
from erase_ray.errors import DataError

TAB = "\t"
SEPARATORS = {".csv": ",", ".tsv": TAB, ".txt": TAB, ".inter": TAB, ".item": TAB}
RECBOLE = (".inter", ".item")
PARQUET = ".parquet"
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""How many of each are a second; a day is 86,400 of them."""
TEXTS = ("user", "item", "session", "basket")


@dataclass(frozen=True)
class Reading:
    """How to read a user's files.

    Args:
        separator: Between fields of text files; empty for the usual one of the ending.
        quote: Around fields that hold a separator; empty if there is none.
        time_unit: Of times that are numbers: ``s``, ``ms``, ``us``, ``ns`` or ``day``.
        time_format: Of times that are texts, as in ``strptime``; empty if they are numbers.
        skip_bad: Leave bad rows out, counted, instead of raising for the first one.
    """

    separator: str
    quote: str
    time_unit: str
    time_format: str
    skip_bad: bool


def ending(path: Path) -> str:
    """The kind of a file: its ending without ``.gz``."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def header_of(path: Path, reading: Reading) -> dict[str, str]:
    """Names of the columns without RecBole's types, and the type of each (empty if unknown).

    Raises:
        DataError: The file cannot be read, or its ending is not known and there is no separator.
    """
    if ending(path) == PARQUET:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())[:200]
            raise DataError(f"{path.name} is no Parquet file: {text}") from error
        return {field.name: "" for field in schema}
    names = read_header(path, *separation(path, reading))
    if ending(path) in RECBOLE:
        untyped = [name for name in names if ":" not in name]
        if untyped:
            raise DataError(
                f"{path.name}, line 1: '{untyped[0]}' has no type; the header of a RecBole file "
                "is like user_id:token, item_id:token, timestamp:float between tabs"
            )
        return dict(name.rsplit(":", 1) for name in names)
    return dict.fromkeys(names, "")


def separation(path: Path, reading: Reading) -> tuple[str, str]:
    """Separator and quote of a text file."""
    separator = reading.separator or SEPARATORS.get(ending(path), "")
    if not separator:
        known = ", ".join([*SEPARATORS, PARQUET])
        raise DataError(
            f"{path.name}: '{ending(path)}' is not one of {known}; say what is between the fields "
            "with 'separator'"
        )
    return separator, "" if ending(path) in RECBOLE else reading.quote


def require(path: Path, header: dict[str, str], wanted: dict[str, str]) -> None:
    """Check that a file has the columns that the settings name.

    Args:
        path: The file.
        header: What it has.
        wanted: Names of columns, by the setting that names them.

    Raises:
        DataError: One is not there.
    """
    for setting, name in wanted.items():
        if name not in header:
            raise DataError(
                f"{path.name} has no column '{name}' ({setting}); it has {', '.join(header)[:200]}"
            )


def read_columns(
    path: Path, wanted: dict[str, str], reading: Reading, scratch: Scratch
) -> tuple[Parsed, int]:
    """Columns under the names that this package uses, in the order of the file.

    Args:
        path: The file.
        wanted: Name in the file by what it is for: user, item, session, basket (texts), time
            (Unix seconds), rating (number).
        reading: How to read it.
        scratch: Where columns are kept.

    Returns:
        The columns, none with a null, and how many rows were left out.

    Raises:
        DataError: The file or one of its rows is not what the settings say.
    """
    if ending(path) == PARQUET:
        return _typed(path, path, wanted, reading, scratch)
    header = header_of(path, reading)
    columns = tuple(
        Column(
            f"{name}:{header[name]}" if header[name] else name,
            "number" if what == "rating" else "text",
            name,
        )
        for what, name in wanted.items()
    )
    separator, quote = separation(path, reading)
    parsed = parse_delimited(
        path, columns, scratch, skip_bad=reading.skip_bad, separator=separator, quote=quote
    )
    found, num_bad = _typed(path, parsed.path, wanted, reading, scratch)
    return found, parsed.num_bad + num_bad


def _typed(
    path: Path, source: Path, wanted: dict[str, str], reading: Reading, scratch: Scratch
) -> tuple[Parsed, int]:
    """The rows of the Parquet file ``source`` that are complete, typed, in a file of their own."""
    out = _place(source, wanted, reading, scratch)
    partial = out.with_name(f"{out.name}.{os.getpid()}.partial")
    wrong = " OR ".join(f"{what} IS NULL" for what in wanted)
    if "rating" in wanted:
        wrong += " OR NOT isfinite(rating)"
    try:
        with naming(path), scratch.duckdb() as db:
            _view(db, source, wanted, reading)
            num_bad = _judge(db, path, wanted, reading, wrong)
            rows = f"SELECT {', '.join(wanted)} FROM typed WHERE NOT ({wrong})"
            db.execute(f"COPY ({rows}) TO {quoted(str(partial))} (FORMAT parquet)")
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    num_rows = pq.read_metadata(out).num_rows
    if not num_rows:
        raise DataError(f"{path.name} has no {'good ' if num_bad else ''}rows")
    return Parsed(out, num_rows, {}), num_bad


def _place(source: Path, wanted: dict[str, str], reading: Reading, scratch: Scratch) -> Path:
    folder = scratch.folder / "columns"
    folder.mkdir(parents=True, exist_ok=True)
    made = f"{sha256_of(source)}\n{sorted(wanted.items())}\n{reading}"
    return folder / f"{hashlib.sha256(made.encode()).hexdigest()[:32]}.typed.parquet"


def _view(db: Connection, source: Path, wanted: dict[str, str], reading: Reading) -> None:
    described = db.execute(f"DESCRIBE FROM read_parquet({quoted(str(source))})").fetchall()
    types = {row[0]: row[1] for row in described}
    picked = [
        f"{_value(what, name, types[name], reading)} AS {what}" for what, name in wanted.items()
    ]
    shown = [f"{named(name)}::VARCHAR AS {what}_shown" for what, name in wanted.items()]
    db.execute(
        f"CREATE TEMP VIEW typed AS SELECT {', '.join([*picked, *shown])}, file_row_number AS "
        f"place FROM read_parquet({quoted(str(source))}, file_row_number = true)"
    )


def _value(what: str, name: str, type: str, reading: Reading) -> str:
    field = named(name)
    if what in TEXTS:
        return f"nullif({field}::VARCHAR, '')"
    if what == "rating":
        return f"TRY_CAST({field} AS DOUBLE)"
    if type == "VARCHAR" and reading.time_format:
        return f"floor(epoch(try_strptime({field}, {quoted(reading.time_format)})))::BIGINT"
    if type.startswith(("TIMESTAMP", "DATE")):
        return f"floor(epoch({field}::TIMESTAMP))::BIGINT"
    number = f"TRY_CAST({field} AS DOUBLE)"
    if reading.time_unit == "day":
        return f"TRY_CAST(floor({number} * 86400) AS BIGINT)"
    unit = UNITS[reading.time_unit]
    whole = f"(TRY_CAST({field} AS HUGEINT) // {unit})::BIGINT"
    if type.endswith(("INT", "INTEGER")):
        return whole
    rounded_down = f"TRY_CAST(floor({number} / {unit}) AS BIGINT)"
    if type != "VARCHAR":
        return rounded_down
    # a double would round whole numbers of 64 bits
    return (
        f"CASE WHEN regexp_full_match({field}, '-?[0-9]{{1,30}}') THEN {whole} "
        f"ELSE {rounded_down} END"
    )


def _judge(db: Connection, path: Path, wanted: dict[str, str], reading: Reading, wrong: str) -> int:
    """Number of rows that do not count.

    Raises:
        DataError: There is one, and none may be left out.
    """
    shown = ", ".join(f"{what}, {what}_shown" for what in wanted)
    rows = db.execute(
        f"SELECT count(*) OVER (), place, {shown} FROM typed WHERE {wrong} ORDER BY place LIMIT 1"
    ).fetchall()
    if not rows:
        return 0
    num_bad, place, *values = rows[0]
    if reading.skip_bad:
        return num_bad
    pairs = zip(wanted, values[::2], values[1::2], strict=True)
    what, text = next((what, text) for what, value, text in pairs if _is_wrong(value))
    is_text = ending(path) != PARQUET
    where = f"line {place + 2}" if is_text else f"row {place + 1}"
    fault = f"'{text}' is {_expected(what, reading)}" if text else "is empty"
    more = f" ({num_bad - 1} more bad rows)" if num_bad > 1 else ""
    raise DataError(
        f"{path.name}, {where}: {wanted[what]} {fault}{more}; mend the file, or leave bad rows out "
        "with skip_bad"
    )


def _is_wrong(value: str | float | None) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _expected(what: str, reading: Reading) -> str:
    if what == "time" and reading.time_format:
        return f"no time of the form {reading.time_format}"
    return "no time in numbers" if what == "time" else "not a finite number"
