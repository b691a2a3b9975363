"""#nowplaying: tracks that people tweeted about, for session-based recommendation."""

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from erase_ray.data.clean import distinct
from erase_ray.datasets._about import About, RawFile
from erase_ray.datasets._base import DATASETS, Dataset
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._keywords import categories_sql
from erase_ray.datasets._load import load
from erase_ray.datasets._parse import Column, Parsed, quoted
from erase_ray.datasets._plays import Plays, PlaySettings
from erase_ray.datasets._raw import ItemTable, RawData
from erase_ray.datasets._rules_nowplaying import NAME, RULES
from erase_ray.datasets._scratch import Scratch
from erase_ray.errors import DataError

FILE = "sessions_2018.csv"
COLUMNS = (
    Column("user_id", "text", "user", required=False),
    Column("timestamp", "text", "timestamp", required=False),
    Column("track_title", "text", "title", required=False),
    Column("artist_name", "text", "artist", required=False),
    Column("musicbrainz_id", "text", "item", required=False),
    Column("session_id", "text", "session", required=False),
)
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
IS_COMPLETE = '"user" IS NOT NULL AND item IS NOT NULL AND session IS NOT NULL'
TEXT = "concat_ws(' ', title, artist)"


@DATASETS.register
class Nowplaying(Dataset):
    """Tracks that people named in tweets with the hashtag #nowplaying, cut into sessions.

    An item is a MusicBrainz id, and times are read as UTC. Steps of cleaning, with the name of
    each in ``counts``: rows without user, item or session go (``complete``); then those whose time
    cannot be read, instead of a time of 0 that would put them first (``timed``); then repeats of
    the same user, session, item and time (``distinct``; one track at two times stays). There is no
    other filter. Order of time; ties: the order of the file.

    Sensitive tracks are found by keywords in title and artist of their first row.
    """

    about: ClassVar[About | None] = About(
        title="#nowplaying music dataset, sessions of 2018 (University of Innsbruck)",
        licence="none is known to us; its publishers ask for a citation",
        citation=(
            "E. Zangerle, M. Pichl, W. Gassler, G. Specht: #nowplaying Music Dataset: Extracting "
            "Listening Behavior from Twitter. WISMM 2014, ACM"
        ),
        address="http://dbis-nowplaying.uibk.ac.at",
        files=(RawFile(FILE, "a line a play: user, time, title, artist, MusicBrainz id, session"),),
    )
    rough_size: ClassVar[tuple[int, int, int]] = (1_000_000, 10_000, 60_000)

    class Settings(PlaySettings):
        """Settings of `Nowplaying`."""

    @property
    def task(self) -> str:
        """``session_based``."""
        return "session_based"

    def read(self, files: dict[str, Path], scratch: Scratch) -> RawData:
        """Plays as interactions."""
        skip_bad = self.settings.skip_bad
        parsed = parse_delimited(files[FILE], COLUMNS, scratch, skip_bad=skip_bad, quote="'")
        plays = _plays(parsed, scratch)
        items = _item_table(parsed, scratch)
        return plays.raw_data(self.settings.sequence, items, parsed.num_bad)


def _plays(parsed: Parsed, scratch: Scratch) -> Plays:
    """The rows that stay, in the order of the file."""
    columns, num_complete = _timed(parsed, scratch)
    counts = {"read": parsed.num_rows, "complete": num_complete, "timed": len(columns["time"])}
    if not counts["timed"]:
        raise DataError(f"{FILE}: no row has a user, an item, a session and a time: {counts}")
    plays = Plays(**columns, counts=counts)
    first = np.flatnonzero(
        distinct(plays.user.codes, plays.session.codes, plays.item.codes, plays.time)
    )
    counts["distinct"] = len(first)
    rows = (plays.user.take(first), plays.session.take(first), plays.item.take(first))
    return Plays(*rows, plays.time[first], counts)


def _timed(parsed: Parsed, scratch: Scratch) -> tuple[dict[str, Any], int]:
    """Columns of the rows with all ids and a time; how many have all ids."""
    source = f"read_parquet({quoted(str(parsed.path))})"
    seconds = f"epoch(try_strptime(timestamp, {quoted(TIME_FORMAT)}))::BIGINT"
    part = parsed.path.with_name(f"{parsed.path.stem}.{os.getpid()}.timed.parquet")
    try:
        with scratch.duckdb() as db:
            row = db.execute(f"SELECT count(*) FROM {source} WHERE {IS_COMPLETE}").fetchone()
            db.execute(
                f'COPY (SELECT "user", session, item, {seconds} AS time FROM {source} '
                f"WHERE {IS_COMPLETE} AND {seconds} IS NOT NULL) TO {quoted(str(part))} "
                "(FORMAT parquet)"
            )
        columns = load(
            Parsed(part, parsed.num_rows, {}), ("user", "session", "item"), numbers=("time",)
        )
    finally:
        part.unlink(missing_ok=True)
    return columns, row[0] if row else 0


def _item_table(parsed: Parsed, scratch: Scratch) -> ItemTable:
    """Every item of the file by its first row; one without title and artist is named by its id."""
    with scratch.duckdb() as db:
        table = db.sql(
            "SELECT item, coalesce(nullif(concat_ws(' - ', artist, title), ''), item) AS label, "
            f"{categories_sql(RULES, {NAME: TEXT})} FROM (SELECT item, "
            "arg_min_null(title, place) AS title, arg_min_null(artist, place) AS artist FROM "
            "(SELECT *, file_row_number AS place FROM "
            f"read_parquet({quoted(str(parsed.path))}, file_row_number = true) "
            "WHERE item IS NOT NULL) GROUP BY item) ORDER BY item"
        ).to_arrow_table()
    return ItemTable.of_arrow(table)
