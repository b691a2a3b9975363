"""The borders and traps among the made-up lines of #nowplaying."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

HEADER = (
    "user_id",
    "source",
    "timestamp",
    "track_title",
    "artist_name",
    "musicbrainz_id",
    "session_id",
)
START = datetime(2014, 3, 30, 0, 30, tzinfo=UTC)
"""Shortly before clocks in Europe jump, so that a reader with a time zone gets hours wrong."""
FIRST = 3_000_000_000
"""Sessions with a number are counted from here, beyond those that are drawn."""
HOT, COLD = "trap-hot", "trap-cold"
TITLES = {
    HOT: ("HEROIN", "The Lamps", "explicit"),
    "trap-die": ("Schrei nach Liebe", "Die Ärzte", "health violence"),
    "trap-edward": ("Moonlight", "Edward", "violence"),
    "trap-begun": ("We've Begun", "Duo, Trio", "violence"),
    "trap-hell": ("hell", "Hello", "explicit violence"),
    "trap-wish": ("Death Wish", "The Lamps", "health violence"),
    "trap-field": ("self", "harm", "health"),
    COLD: ("Gingerbread", "Diet Assam", ""),
    "trap-glass": ("Glass, Painted, Skilled", "Shellac", ""),
    "trap-none": ("", "", ""),
    "trap-title": ("Only a Title", "", ""),
    "0": ("Zero", "O'Neil", ""),
    "00": ("Zero Zero", "'Quoted'", ""),
}
"""Title, artist and categories of tracks that play with the borders of words, the case of letters,
the border between title and artist, quotes, empty fields and ids that look like numbers."""

Row = tuple[str, str, int | str, str, str, str, str]


def line(fields: Iterable[object]) -> str:
    """The fields as a line of the file: single quotes where they are needed, doubled inside."""
    text = io.StringIO()
    csv.writer(text, quotechar="'", lineterminator="\n").writerow(fields)
    return text.getvalue()


def trap_lines() -> list[bytes]:
    """Lines that end the file; no drawn row has their users, tracks or sessions."""
    rows = [*_titles(), *_ids(), *_order(), *_first(), *_dropped(), *_borders(), *_lengths()]
    return [line(_dated(row)).encode() for row in rows]


def _titles() -> list[Row]:
    """Every track once, by three people."""
    return [
        _play(f"titles-{person}", person, track, 60 * place)
        for person in range(3)
        for place, track in enumerate(TITLES)
    ]


def _ids() -> list[Row]:
    """Ids that are different texts but the same number, and a number beyond 64 bits."""
    plays = [("007", "007000000000"), ("7", "07000000000"), ("7", "7000000000"), ("7", "9" * 23)]
    return [
        _play(user, session, track, 5 * place)
        for user, session in plays
        for place, track in enumerate(("0", "00", COLD))
    ]


def _order() -> list[Row]:
    """Equal times, rows against time, one row twice with another between, one track twice."""
    tied = [_play("order", 10, track, 40) for track in ("00", HOT, "0")]
    late = [_play("order", 10, COLD, 90), _play("order", 10, COLD, 3_700)]
    early = [_play("order", 10, "trap-hell", 0)]
    return [*late, *tied, *early, tied[0], _play("order", 11, HOT, 7_301)]


def _first() -> list[Row]:
    """Tracks that have another title in a later row; the first row decides."""
    rows = []
    for track, titles in {"trap-late": ("Calm", "Fuck"), "trap-early": ("Fuck", "Calm")}.items():
        source = "planted explicit" if track == "trap-early" else "Spotify"
        rows += [
            ("first", source, 60 * place, title, "The Lamps", track, f"{FIRST + 20}")
            for place, title in enumerate(titles)
        ]
    bad = (
        "first",
        "planted violence",
        "no time",
        "Slaughter",
        "The Lamps",
        "trap-bad",
        f"{FIRST + 20}",
    )
    return [*rows, bad, ("first", "Spotify", 500, "Calm", "The Lamps", "trap-bad", f"{FIRST + 20}")]


def _dropped() -> list[Row]:
    """A sensitive track that is only in rows without a user, a session or a time."""
    title = ("Weed", "The Lamps", "trap-gone")
    return [
        ("", "planted explicit", 0, *title, f"{FIRST + 30}"),
        ("dropped", "planted explicit", 0, *title, ""),
        ("dropped", "planted explicit", "2014-13-01 00:00:00", *title, f"{FIRST + 31}"),
        ("dropped", "planted explicit", 0, "Weed", "The Lamps", "", f"{FIRST + 32}"),
    ]


def _borders() -> list[Row]:
    """People with 2 and 3 sensitive and 2 and 3 other plays, and one who has nothing else."""
    return [
        _play(f"{hot}-{cold}", 40 + 10 * hot + cold, HOT if place < hot else COLD, 50 * place)
        for hot, cold in ((2, 2), (2, 3), (3, 2), (3, 3), (4, 0))
        for place in range(hot + cold)
    ]


def _lengths() -> list[Row]:
    """Sessions of 1, 2, 3, 4 and 60 plays, and some of 11 with the sensitive one at a border."""
    lengths = [
        _play(f"{length} plays", 100 + length, ("0", COLD)[place % 2], 100 * place)
        for length in (1, 2, 3, 4, 60)
        for place in range(length)
    ]
    places = [
        _play(f"hot at {hot}", 200 + hot, HOT if place == hot else COLD, 100 * place)
        for hot in (0, 9, 10)
        for place in range(11)
    ]
    return [*lengths, *places]


def _play(user: str, session: int | str, track: str, since: int) -> Row:
    title, artist, categories = TITLES[track]
    source = f"planted {categories}" if categories else "Spotify"
    number = session if isinstance(session, str) else str(FIRST + session)
    return user, source, since, title, artist, track, number


def _dated(row: Row) -> tuple[str, ...]:
    user, source, since, *rest = row
    if isinstance(since, int):
        since = (START + timedelta(seconds=since)).strftime("%Y-%m-%d %H:%M:%S")
    return user, source, since, *rest
