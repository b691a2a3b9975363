"""Made-up raw files in the format of #nowplaying: one CSV file with single quotes."""

import csv
import hashlib
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from erase_ray import seeds
from erase_ray.datasets._synthetic import _lines
from erase_ray.datasets._synthetic._nowplaying_traps import HEADER, line, trap_lines
from erase_ray.datasets._synthetic._truth import row_facts
from erase_ray.datasets._synthetic._world import Draw, draw_sessions

FILE = "sessions_2018.csv"
WORD, END = r"(?<![0-9A-Za-z_])", r"(?![0-9A-Za-z_])"
PATTERNS = {
    "health": (
        rf"{WORD}die{END}|depress|anxiety|suicide|self harm|therapy|ptsd|trauma|breakdown|bipolar"
        "|schizo|medication|overdose|cutting|death wish|end it all|kill myself"
    ),
    "explicit": (
        rf"{WORD}(ass|hell|damn|sex){END}|fuck|shit|bitch|drugs|explicit|parental advisory|nsfw"
        "|uncensored|xxx|cocaine|heroin|weed|marijuana|drunk|alcohol"
    ),
    "violence": (
        rf"{WORD}(die|pain|kill|hell){END}|murder|blood|violence|gun|shoot|weapon|war|fight|attack"
        "|revenge|torture|suffer|massacre|slaughter|death|corpse|brutal"
    ),
}
"""The words of each category, written down a second time on purpose: this is the oracle's copy."""
PLANTED = {
    "health": ("Anxiety Blues", "THERAPY", "My Overdose", "A Schizoid Song", "Depressing"),
    "explicit": ("Damn", "Fuckin Lovely", "Cocaine, Again", "drunken sailor", "So Sex"),
    "violence": ("Murderer", "The Pain", "Corpses", "Shooting Star", "bloody tea"),
}
HARMLESS = ("Sunrise", "Blue Moon", "River, Deep", "It's Late", "Été", "Kyoto", "'Til Noon", "Lull")
ARTISTS = ("The Lamps", "Björk & Co", "Duo, Trio", "O'Neil", "Nachtlied", '"Q"')
BAD_TIMES = ("", "NaN", "0000-00-00 00:00:00", "2014-02-30 10:00:00", "yesterday")
CHUNK = 200_000
"""Rows written at a time."""
SHARES = {"time": 0.003, "twice": 0.01, "track": 0.004, "session": 0.002, "user": 0.002}
"""Share of the rows with a bad time, of those there twice, and of those that lack an id."""


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``sessions_2018.csv`` with its header line.

    Rows come in random order. The column ``source``, which readers do not look at, names the
    categories of planted tracks.

    Args:
        out: A folder, made if need be.
        scale: 1 makes about 7,500 plays of 120 tracks by 250 people.
        seed: Every byte follows from it and the scale.
    """
    draw = draw_sessions(scale, seed, tuple(PATTERNS))
    rng = seeds.numpy_generator(seed, "synthetic", "nowplaying")
    source_I, name_I, track_I = _tracks(draw, rng)
    user_U = _texts(_hash(f"{seed} {number}") for number in range(draw.num_users))
    order = rng.permutation(len(draw))
    out.mkdir(parents=True, exist_ok=True)
    with (out / FILE).open("wb") as file:
        file.write((",".join(HEADER) + "\n").encode())
        for begin in range(0, len(order), CHUNK):
            rows = order[begin : begin + CHUNK]
            luck = {name: rng.random(len(rows)) < share for name, share in SHARES.items()}
            item, user = pa.array(draw.item[rows]), pa.array(draw.user[rows])
            parts = (
                _lines.chosen(luck["user"], "", user_U.take(user)),
                source_I.take(item),
                _lines.chosen(luck["time"], _some(BAD_TIMES, rows), _times(draw.time[rows])),
                name_I.take(item),
                _lines.chosen(luck["track"], "", track_I.take(item)),
                _lines.chosen(luck["session"], "", _lines.texts(draw.unit[rows])),
            )
            lines = _lines.joined(*[x for part in parts for x in (part, ",")][:-1], "\n")
            _lines.write(file, _lines.chosen(luck["twice"], _lines.joined(lines, lines), lines))
        file.writelines(trap_lines())


def _tracks(draw: Draw, rng: np.random.Generator) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Source, title with artist, and id of each track."""
    titles = [f"{HARMLESS[item % len(HARMLESS)]} {item}" for item in range(draw.num_items)]
    sources = ["Spotify"] * draw.num_items
    for category, words in PLANTED.items():
        for place, item in enumerate(draw.sensitive[category].tolist()):
            titles[item] = f"{words[place % len(words)]} {item}"
            sources[item] = f"planted {category}"
    artists = (ARTISTS[number] for number in rng.integers(0, len(ARTISTS), draw.num_items).tolist())
    names = (line(pair).rstrip("\n") for pair in zip(titles, artists, strict=True))
    ids = (str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(draw.num_items))
    return _texts(sources), _texts(names), _texts(ids)


def _times(time: np.ndarray) -> Any:
    column = pa.array(time).cast(pa.timestamp("s"))
    texts = pc.call_function("strftime", [column], pc.StrftimeOptions("%Y-%m-%d %H:%M:%S"))
    return texts.cast(pa.large_string())


def _some(texts: tuple[str, ...], numbers: np.ndarray) -> Any:
    return _texts(texts).take(pa.array(numbers % len(texts)))


def _texts(texts: Iterable[str]) -> Any:
    return pa.array(list(texts), pa.large_string())


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What a reader must find in a file that `write` made, by the plainest means."""
    counts = dict.fromkeys(("read", "complete", "timed", "distinct"), 0)
    names: dict[str, tuple[str, str]] = {}
    planted: dict[str, set[str]] = {category: set() for category in PATTERNS}
    kept: dict[tuple[str, str, str, int], int] = {}
    for row in _rows(raw):
        counts["read"] += 1
        user, track, session = row["user_id"], row["musicbrainz_id"], row["session_id"]
        if track:
            names.setdefault(track, (row["track_title"], row["artist_name"]))
            for category in row["source"].split()[1:]:
                planted[category].add(track)
        if not (user and track and session):
            continue
        counts["complete"] += 1
        time = _seconds(row["timestamp"])
        if time is None:
            continue
        counts["timed"] += 1
        kept.setdefault((user, session, track, time), counts["read"])
    counts["distinct"] = len(kept)
    rows = _stepped(kept)
    items = {row[3] for row in rows}
    sensitive = {
        category: sorted(t for t in items if re.search(pattern, " ".join(names[t]), re.I | re.A))
        for category, pattern in PATTERNS.items()
    }
    return {
        "counts": counts,
        "sensitive": sensitive,
        **row_facts(rows, sensitive),
        "planted": {category: sorted(tracks) for category, tracks in planted.items()},
    }


def labels(raw: Path) -> dict[str, str]:
    """The label that a reader must give each track: artist and title of its first row."""
    found: dict[str, str] = {}
    for row in _rows(raw):
        names = [name for name in (row["artist_name"], row["track_title"]) if name]
        if row["musicbrainz_id"]:
            found.setdefault(row["musicbrainz_id"], " - ".join(names) or row["musicbrainz_id"])
    return found


def _rows(raw: Path) -> Iterable[dict[str, str]]:
    with (raw / FILE).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, quotechar="'")


def _seconds(text: str) -> int | None:
    try:
        time = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    return int(time.replace(tzinfo=UTC).timestamp())


def _stepped(
    kept: dict[tuple[str, str, str, int], int],
) -> list[tuple[str, str, int, str, int]]:
    sessions: dict[str, list[tuple[int, int, str, str]]] = {}
    for (user, session, track, time), place in kept.items():
        sessions.setdefault(session, []).append((time, place, user, track))
    return [
        (user, session, step, track, time)
        for session, plays in sessions.items()
        for step, (time, _, user, track) in enumerate(sorted(plays))
    ]
