"""Made-up raw files in the format of 30Music: sessions, tracks, tags and users as idomaar lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import numpy as np
import pyarrow as pa

from erase_ray import seeds
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.datasets._synthetic import _lines
from erase_ray.datasets._synthetic._idomaar_traps import TAGS, TRAP_TRACKS, trap_lines
from erase_ray.datasets._synthetic._truth import row_facts
from erase_ray.datasets._synthetic._world import Draw, Growth, draw_sessions

GROWTH = Growth(users=0.63, items=1.3, length=0.045)
"""Grows towards the real thing: 30 million plays of 5.7 million tracks in 2.8 million sessions of
45 thousand people at a scale of about 4,000."""
CHUNK = 50_000
"""Sessions or tracks written at a time."""
NO_PLAYSTART = 0.004
"""Share of the plays that lack ``playstart``; as many have null there."""
WORDS = ("Quiet", "River", "North", "Glass", "Lantern", "Violet", "Harbour", "Meadow")
HARMLESS = (1, 2, 3, 154396, 1543951, 77139)
"""Tags of no category; the last three are one off a sensitive tag or begin with one."""


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``relations/sessions.idomaar`` and tracks, tags and users under ``entities/``.

    Sessions come in random order. Sensitive tracks carry the word ``planted`` with their
    categories among the properties, which readers do not look at.

    Args:
        out: A folder, made if need be.
        scale: 1 makes about 7,500 plays of 120 tracks by 250 people.
        seed: Every byte follows from it and the scale.
    """
    draw = draw_sessions(scale, seed, tuple(TAGS), GROWTH)
    rng = seeds.numpy_generator(seed, "synthetic", "thirty_music")
    for folder in ("relations", "entities"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    _write_sessions(out / "relations" / "sessions.idomaar", draw, rng)
    _write_tracks(out / "entities" / "tracks.idomaar", draw, rng)
    _write_tags(out / "entities" / "tags.idomaar")
    _write_users(out / "entities" / "users.idomaar", draw.num_users)


def _write_sessions(path: Path, draw: Draw, rng: np.random.Generator) -> None:
    first = run_starts(draw.unit)
    sizes = run_sizes(first, len(draw))
    order = rng.permutation(len(first))
    with path.open("wb") as file:
        for begin in range(0, len(order), CHUNK):
            some = order[begin : begin + CHUNK]
            rows, starts = _lines.runs(sizes, some)
            since = draw.time[rows] - np.repeat(draw.time[first[some]], sizes[some])
            plays = _lines.grouped(_plays(draw.item[rows], since, rng), starts, ",")
            owner, start = draw.user[first[some]], draw.time[first[some]]
            _lines.write(file, _session_lines(some, start, owner, sizes[some], plays))
        file.writelines(trap_lines(draw.sensitive))


def _plays(item: np.ndarray, since: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """One object each, some of them without ``playstart``."""
    luck = rng.random(len(item))
    given = _lines.joined(',"playstart":', _lines.texts(since))
    some = _lines.chosen(luck < 2 * NO_PLAYSTART, ',"playstart":null', given)
    playstart = _lines.chosen(luck < NO_PLAYSTART, "", some)
    playtime = rng.integers(30, 400, len(item))
    return _lines.joined(
        '{"type":"track","id":',
        _lines.texts(item),
        playstart,
        ',"playtime":',
        _lines.texts(playtime),
        ',"playratio":0.98,"action":"play"}',
    )


def _session_lines(
    session: np.ndarray, start: np.ndarray, owner: np.ndarray, sizes: np.ndarray, plays: pa.Array
) -> pa.Array:
    return _lines.joined(
        "event.session\t",
        _lines.texts(session),
        "\t",
        _lines.texts(start),
        '\t{"numtracks":',
        _lines.texts(sizes),
        ',"playtime":-1} {"subjects":[{"type":"user","id":',
        _lines.texts(owner),
        '}],"objects":[',
        plays,
        "]}\n",
    )


def _write_tracks(path: Path, draw: Draw, rng: np.random.Generator) -> None:
    mark_I, tag_I = _marks(draw, rng)
    with path.open("wb") as file:
        for begin in range(0, draw.num_items, CHUNK):
            item = np.arange(begin, min(begin + CHUNK, draw.num_items))
            word = pa.array(WORDS, pa.large_string())
            artist = word.take(pa.array(rng.integers(0, len(WORDS), len(item))))
            lines = _lines.joined(
                "track\t",
                _lines.texts(item),
                '\t-1\t{"duration":-1,"playcount":1,"MBID":null,"name":"',
                artist,
                "+%26+Bj%C3%B6rn/_/Track+",
                _lines.texts(item),
                mark_I.slice(begin, CHUNK),
                '}\t{"artists":[{"type":"person","id":77138}],"albums":[],"tags":[',
                tag_I.slice(begin, CHUNK),
                "]}\n",
            )
            _lines.write(file, lines)
        file.writelines(TRAP_TRACKS)


def _marks(draw: Draw, rng: np.random.Generator) -> tuple[pa.Array, pa.Array]:
    """The mark of what is planted, and the tags, of each track."""
    names = ['"', *(f'","planted":["{category}"]' for category in TAGS)]
    tags = [1, *(tag for members in TAGS.values() for tag in members), *HARMLESS]
    code_I = np.zeros(draw.num_items, np.int64)
    tag_I = rng.choice(np.append(0, np.arange(len(tags) - len(HARMLESS), len(tags))), len(code_I))
    place = 1
    for code, (category, members) in enumerate(TAGS.items(), start=1):
        item = draw.sensitive[category]
        code_I[item] = code
        tag_I[item] = place + np.arange(len(item)) % len(members)
        place += len(members)
    tag = pa.array([f'{{"type":"tag","id":{tag}}}' for tag in tags], pa.large_string())
    name = pa.array(names, pa.large_string())
    second = _lines.chosen(rng.random(len(code_I)) < 0.5, ',{"type":"tag","id":2}', "")
    return name.take(pa.array(code_I)), _lines.joined(tag.take(pa.array(tag_I)), second)


def _write_tags(path: Path) -> None:
    sensitive = {tag: category for category, members in TAGS.items() for tag in members}
    tags = sensitive | dict.fromkeys(HARMLESS, "harmless")
    lines = (f'tag\t{tag}\t-1\t{{"value":"{name}"}}\t{{}}\n' for tag, name in sorted(tags.items()))
    path.write_text("".join(lines))


def _write_users(path: Path, num_users: int) -> None:
    with path.open("wb") as file:
        user = _lines.texts(np.arange(num_users))
        _lines.write(file, _lines.joined("user\t", user, '\t1100000000\t{"country":"NL"}\n'))


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What a reader must find in files that `write` made, by the plainest means."""
    counts = {"read": 0, "owned": 0, "complete": 0}
    plays: dict[str, list[tuple[int, int, str, str]]] = {}
    place = 0
    for owner, session, start, listed in _sessions(raw / "relations" / "sessions.idomaar"):
        counts["read"] += len(listed)
        if owner is None:
            continue
        counts["owned"] += len(listed)
        for play in listed:
            place += 1
            if play.get("id") is not None and play.get("playstart") is not None:
                counts["complete"] += 1
                row = (start + play["playstart"], place, owner, str(play["id"]))
                plays.setdefault(session, []).append(row)
    rows = [
        (user, session, step, item, time)
        for session, members in plays.items()
        for step, (time, _, user, item) in enumerate(sorted(members))
    ]
    items = {row[3] for row in rows}
    tagged, planted, _ = _tracks(raw / "entities" / "tracks.idomaar")
    sensitive = {name: sorted(members & items) for name, members in tagged.items()}
    return {
        "counts": counts,
        "sensitive": sensitive,
        **row_facts(rows, sensitive),
        "planted": {name: sorted(members) for name, members in planted.items()},
    }


def labels(raw: Path) -> dict[str, str]:
    """The label that a reader must give each track of ``tracks.idomaar``."""
    return _tracks(raw / "entities" / "tracks.idomaar")[2]


def _sessions(path: Path) -> Iterator[tuple[str | None, str, int, list[dict[str, Any]]]]:
    """Owner, session id, start and plays of each line."""
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        _, session, start, objects = line.split("\t")
        _, end = json.JSONDecoder().raw_decode(objects)
        links = json.loads(objects[end:])
        subjects = links.get("subjects") or [{}]
        owner = subjects[0].get("id")
        plays = links.get("objects") or []
        yield None if owner is None else str(owner), session, int(start), plays


def _tracks(path: Path) -> tuple[dict[str, set[str]], dict[str, set[str]], dict[str, str]]:
    """Sensitive tracks by tag, planted tracks by mark, and labels."""
    tagged: dict[str, set[str]] = {category: set() for category in TAGS}
    planted: dict[str, set[str]] = {category: set() for category in TAGS}
    labels = {}
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        _, track, _, properties, relations = line.split("\t")
        about = json.loads(properties)
        tags = {str(tag["id"]) for tag in json.loads(relations).get("tags") or []}
        if about.get("name"):
            labels[track] = _decoded(about["name"]).replace("/_/", " - ")
        for category, members in TAGS.items():
            if tags & set(map(str, members)):
                tagged[category].add(track)
        for category in about.get("planted", ()):
            planted[category].add(track)
    return tagged, planted, labels


def _decoded(name: str) -> str:
    try:
        return unquote_plus(name, errors="strict")
    except UnicodeDecodeError:
        return name
