"""The files of the UCSD Book Graph: parsed, joined over the maps of ids, searched by keyword."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._json_lines import parse_json_lines
from erase_ray.datasets._keywords import SEPARATOR, categories_sql
from erase_ray.datasets._parse import Column, Parsed, quoted
from erase_ray.datasets._ratings import Ratings
from erase_ray.datasets._raw import ItemTable
from erase_ray.datasets._rules_goodreads import RULES
from erase_ray.datasets._scratch import Connection, Scratch
from erase_ray.errors import DataError

INTERACTIONS = "goodreads_interactions.csv"
BOOK_MAP, USER_MAP = "book_id_map.csv", "user_id_map.csv"
BOOKS, GENRES = "goodreads_books.json", "goodreads_book_genres_initial.json"
MIN_MAPPED_SHARE = 0.5
"""Share of the rows whose ids the maps know; fewer mean that they are of another release."""
TABLES = {
    INTERACTIONS: (
        Column("user_id", "integer", "user"),
        Column("book_id", "integer", "book"),
        Column("rating", "number"),
    ),
    BOOK_MAP: (Column("book_id_csv", "integer", "number"), Column("book_id", "text", "name")),
    USER_MAP: (Column("user_id_csv", "integer", "number"), Column("user_id", "text", "name")),
}
OBJECTS = {
    BOOKS: (
        Column("book_id", "text", "item"),
        Column("title", "text", required=False),
        Column("description", "text", required=False),
        Column("popular_shelves", [{"name": "VARCHAR"}], required=False),
    ),
    GENRES: (
        Column("book_id", "text", "item"),
        Column("genres", "MAP(VARCHAR, BIGINT)", required=False),
    ),
}
_LINE = f"chr({ord(SEPARATOR)})"
FIELDS = {
    "title": "title",
    "description": "description",
    "shelves": f"array_to_string(list_transform(popular_shelves, lambda s: s.name), {_LINE})",
}


def parse(
    files: dict[str, Path], scratch: Scratch, skip_bad: bool, use_genres: bool
) -> dict[str, Parsed]:
    """The columns of each file that is used, by name.

    Raises:
        DataError: A file is not what its format promises, or the genres are wanted but not there.
    """
    if use_genres and GENRES not in files:
        raise DataError(f"use_genres of goodreads needs {GENRES}, found {', '.join(sorted(files))}")
    parsed = {
        name: parse_delimited(files[name], columns, scratch, skip_bad=skip_bad)
        for name, columns in TABLES.items()
        if name in files
    }
    return parsed | {
        name: parse_json_lines(files[name], columns, scratch, skip_bad=skip_bad)
        for name, columns in OBJECTS.items()
        if name != GENRES or use_genres
    }


def rated(
    parsed: dict[str, Parsed], min_rating: float, scratch: Scratch
) -> tuple[Ratings, dict[str, int]]:
    """Rows with enough stars, real ids and no repeats, and the counts so far.

    Raises:
        DataError: A map has an id twice, or knows too few.
    """
    with scratch.duckdb() as db:
        db.execute(
            f"CREATE VIEW rated AS SELECT *, file_row_number AS time FROM read_parquet("
            f"{quoted(str(parsed[INTERACTIONS].path))}, file_row_number = true) "
            f"WHERE rating >= {min_rating}"
        )
        books = _numbered(db, "book", parsed[BOOK_MAP])
        users = _numbered(db, "user", parsed.get(USER_MAP))
        joined = (
            "FROM rated JOIN book_ids ON book = book_ids.number "
            'JOIN user_ids ON rated."user" = user_ids.number'
        )
        counts = {
            "read": parsed[INTERACTIONS].num_rows,
            "rated": _count(db, "FROM rated"),
            "mapped": _count(db, joined),
        }
        _check_mapped(counts)
        # the engine spills to disk where the rows with all their repeats would not fit
        columns = db.sql(
            "SELECT user_ids.place AS user, book_ids.place AS item, min(time) AS time "
            f"{joined} GROUP BY user_ids.place, book_ids.place, rating"
        ).fetchnumpy()
    user, item = Ids(np.asarray(columns["user"]), users), Ids(np.asarray(columns["item"]), books)
    time = np.asarray(columns["time"])
    counts["distinct"] = len(time)
    return Ratings(user, item, time), counts


def described(parsed: dict[str, Parsed], items: Names, scratch: Scratch) -> ItemTable:
    """What the metadata says about ``items``; a book that is there twice is in all categories."""
    flags = ", ".join(f'bool_or("{name}") AS "{name}"' for name in RULES)
    fields, source = dict(FIELDS), "read_parquet(?)"
    if GENRES in parsed:
        fields["genres"] = "genre_names"
        source += (
            f" LEFT JOIN (SELECT item, string_agg(array_to_string(map_keys(genres), {_LINE}), "
            f"{_LINE}) AS genre_names FROM read_parquet(?) GROUP BY item) USING (item)"
        )
    with scratch.duckdb() as db:
        db.register("kept", pa.table({"item": items.array}))
        table = db.sql(
            f"SELECT item, coalesce(min(nullif(title, '')), item) AS title, {flags} FROM (SELECT "
            f"item, title, {categories_sql(RULES, fields)} FROM {source} WHERE item IN "
            "(SELECT item FROM kept)) GROUP BY item ORDER BY item",
            params=[str(parsed[name].path) for name in (BOOKS, GENRES) if name in parsed],
        ).to_arrow_table()
    return ItemTable.of_arrow(table, "title")


def _numbered(db: Connection, kind: str, known: Parsed | None) -> Names:
    """Make the table ``<kind>_ids`` (number in the file, place among the names); the names.

    Without a map the numbers are the names.

    Raises:
        DataError: The map has a number twice.
    """
    source = (
        f"SELECT number, name FROM read_parquet({quoted(str(known.path))})"
        if known
        else f'SELECT DISTINCT "{kind}" AS number, "{kind}"::VARCHAR AS name FROM rated'
    )
    db.execute(
        f"CREATE TEMP TABLE {kind}_ids AS SELECT number, name, "
        f"(dense_rank() OVER (ORDER BY name) - 1)::INTEGER AS place FROM ({source})"
    )
    twice = db.execute(
        f"SELECT number FROM {kind}_ids GROUP BY number HAVING count(*) > 1 ORDER BY number LIMIT 1"
    ).fetchall()
    if twice:
        file = BOOK_MAP if kind == "book" else USER_MAP
        raise DataError(f"{file}: {kind}_id_csv {twice[0][0]} is there twice")
    names = db.sql(f"SELECT DISTINCT name, place FROM {kind}_ids ORDER BY place").to_arrow_table()
    return Names(names["name"])


def _count(db: Connection, source: str) -> int:
    return db.execute(f"SELECT count(*) {source}").fetchall()[0][0]


def _check_mapped(counts: dict[str, int]) -> None:
    mapped, total = counts["mapped"], counts["rated"]
    if mapped < MIN_MAPPED_SHARE * total:
        raise DataError(
            f"the maps know the ids of only {mapped} of {total} rows of {INTERACTIONS}: they seem "
            "to be of another release"
        )
