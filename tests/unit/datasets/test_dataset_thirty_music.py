"""30Music from small files that were made by hand."""

import gzip
import json
from pathlib import Path

import pytest

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, RawData, Scratch
from erase_ray.datasets import _plays as plays
from erase_ray.datasets._own_files import find_files
from erase_ray.datasets.thirty_music import SESSIONS, TRACKS
from erase_ray.errors import DataError
from erase_ray.tasks import TASKS

KIND = DATASETS.get("thirty_music")
CUT = '{"subjects":[{"id":7}],"objects":['


def play(track, playstart=None, **more) -> dict:
    given = {} if playstart is None else {"playstart": playstart}
    return {"type": "track", "id": track, **given, **more}


def session(id_, user, objects, start: int | str = 1000) -> str:
    relations = {"subjects": [{"type": "user", "id": user}], "objects": objects}
    return line(id_, relations, start)


def line(id_, relations, start: int | str = 1000) -> str:
    text = relations if isinstance(relations, str) else json.dumps(relations)
    return f'event.session\t{id_}\t{start}\t{{"numtracks":1,"playtime":-1}} {text}\n'


def track(id_, name, *tags, **more) -> str:
    about = json.dumps({"duration": -1, "name": name})
    return f"track\t{id_}\t-1\t{about}\t{json.dumps({'tags': [{'id': t} for t in tags]} | more)}\n"


GOOD = session("s1", 7, [play(1, 0), play(2, 60)])
NAMED = track(1, "A/_/One") + track(2, "A/_/Two", 77138)


def read(folder: Path, sessions: str | bytes, tracks: str | bytes = NAMED, **settings) -> RawData:
    for name, text in ((SESSIONS, sessions), (TRACKS, tracks)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    assert KIND.about is not None
    files = find_files(KIND.about.files, folder)
    return KIND(KIND.Settings(**settings)).read(files, Scratch(folder / "scratch"))


def rows(raw: RawData) -> list[tuple]:
    frame = raw.frame().sort_values(["sequence", "step"], kind="stable")
    columns = ["user", "sequence", "step", "item", "time"]
    return list(frame[columns].itertuples(index=False, name=None))


def test_time_is_the_start_plus_playstart(tmp_path):
    text = GOOD + session("s2", 7, [play(2, 5)], start=2_000_000_000_000)
    assert rows(read(tmp_path, text)) == [
        ("7", "s1", 0, "1", 1000),
        ("7", "s1", 1, "2", 1060),
        ("7", "s2", 0, "2", 2_000_000_000_005),
    ]


def test_steps_follow_time_and_ties_the_order_of_the_file(tmp_path):
    objects = [play(9, 50), play(3, 50), play(1, 0), play(3, 50), play(2, -10)]
    found = rows(read(tmp_path, session("s", 7, objects)))
    assert [(step, item) for _, _, step, item, _ in found] == [
        (0, "2"),
        (1, "1"),
        (2, "9"),
        (3, "3"),
        (4, "3"),
    ]


def test_a_user_as_one_sequence(tmp_path):
    text = session("late", 7, [play(1, 0), play(2, 100)], start=1050)
    text += session("early", 7, [play(3, 0), play(4, 60)]) + session("x", 8, [play(1, 0)])
    assert rows(read(tmp_path, text, sequence="user")) == [
        ("7", "7", 0, "3", 1000),
        ("7", "7", 1, "1", 1050),
        ("7", "7", 2, "4", 1060),
        ("7", "7", 3, "2", 1150),
        ("8", "8", 0, "1", 1000),
    ]


def test_ids_are_texts(tmp_path):
    ids = ["0042", "42", 42, 0, "0", 9007199254740993, 99999999999999999999999, "Zoë"]
    text = session("007", "001", [play(id_, n) for n, id_ in enumerate(ids)])
    text += session("7", 1, [play(1, 0)])
    found = rows(read(tmp_path, text))
    assert [item for _, sequence, _, item, _ in found if sequence == "007"] == [
        *("0042", "42", "42", "0", "0", "9007199254740993", "99999999999999999999999", "Zoë")
    ]
    assert {(user, sequence) for user, sequence, *_ in found} == {("001", "007"), ("1", "7")}


WITHOUT = {
    "no subjects": ({"subjects": [], "objects": [play(1, 0)]}, (1, 0, 0)),
    "subjects null": ({"subjects": None, "objects": [play(1, 0)]}, (1, 0, 0)),
    "no such key": ({"objects": [play(1, 0)]}, (1, 0, 0)),
    "no id": ({"subjects": [{"type": "user"}], "objects": [play(1, 0), play(2, 0)]}, (2, 0, 0)),
    "no objects": ({"subjects": [{"id": 7}], "objects": []}, (0, 0, 0)),
    "objects null": ({"subjects": [{"id": 7}], "objects": None}, (0, 0, 0)),
    "nothing": ({}, (0, 0, 0)),
    "no playstart": ({"subjects": [{"id": 7}], "objects": [play(1), play(2, 3)]}, (2, 2, 1)),
    "null": ({"subjects": [{"id": 7}], "objects": [{"id": 1, "playstart": None}]}, (1, 1, 0)),
    "no track": ({"subjects": [{"id": 7}], "objects": [{"playstart": 1}, None, []]}, (3, 3, 0)),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_what_is_missing_is_left_out_and_counted(tmp_path, case):
    relations, added = WITHOUT[case]
    counts = read(tmp_path, GOOD + line("s9", relations) + session("s2", 8, [play(1, 0)])).counts
    expected = {"read": 3, "owned": 3, "complete": 3}
    assert counts == {
        name: number + more for (name, number), more in zip(expected.items(), added, strict=True)
    }


def test_the_first_subject_is_the_user(tmp_path):
    text = line("s", {"subjects": [{"id": 3}, {"id": 4}], "objects": [play(1, 0)]})
    assert rows(read(tmp_path, text)) == [("3", "s", 0, "1", 1000)]


def test_objects_in_two_fields_are_read_as_well(tmp_path):
    assert rows(read(tmp_path, GOOD.replace("} {", "}\t{"))) == rows(read(tmp_path, GOOD))


def test_categories_by_tag_of_the_track_itself(tmp_path):
    tracks = (
        track(1, "a", 1543951, 15394, albums=[{"id": 77138}])
        + track(2, "b", 193026, "154395")
        + track(3, "77138", 59294)
        + "track\t4\t-1\t{}\t{}\n"
        + 'track\t5\t-1\t{"name":null}\t{"tags":null}\n'
    )
    items = read(tmp_path, session("s", 7, [play(n, n) for n in range(1, 6)]), tracks).items
    assert items.members("health") == {"2", "3"}
    assert items.members("explicit") == {"2"}


LABELS = {
    "Bj%C3%B6rk/_/J%C3%B3ga": "Björk - Jóga",
    "%D0%9C%D0%B8%D1%80+%26+Co/_/1+%2B+1": "Мир & Co - 1 + 1",
    "Caf%E9/_/100%25": "Caf%E9 - 100%25",
    "raw ö/_/100%": "raw ö - 100%",
    "no separator": "no separator",
}


def test_labels_are_decoded_names(tmp_path):
    tracks = "".join(track(n, name) for n, name in enumerate(LABELS)) + track("0099", None)
    items = read(tmp_path, session("s", 7, [play(0, 0)]), tracks).items
    assert list(items.label) == [*LABELS.values(), "0099"]


def test_of_two_lines_of_a_track_the_first_counts(tmp_path):
    tracks = track(2, "b") + track(1, "first", 77138) + track(2, "c") + track(1, "second", 59294)
    items = read(tmp_path, GOOD, tracks).items
    assert dict(zip(items.outer, items.label, strict=True)) == {"2": "b", "1": "first"}
    assert (items.members("explicit"), items.members("health")) == ({"1"}, set())


def test_lines_of_a_session_that_is_there_twice_are_one_session(tmp_path):
    text = session("s", 7, [play(1, 0), play(2, 9)]) + session("s", 7, [play(3, 4)])
    assert [item for *_, item, _ in rows(read(tmp_path, text))] == ["1", "3", "2"]


def test_sessions_in_several_batches(tmp_path, monkeypatch):
    text = (
        GOOD
        + line("s9", {})
        + "".join(session(f"x{n}", n % 2, [play(n, 0), play(1, 5)]) for n in range(5))
    )
    whole = rows(read(tmp_path, text))
    monkeypatch.setattr(plays, "BATCH_SESSIONS", 2)
    assert rows(read(tmp_path, text)) == whole


def test_a_track_without_a_line_is_labelled_with_its_id(tmp_path):
    raw = read(tmp_path, session("s", 7, [play(1, 0), play(2, 1), play(77, 2)]))
    prepared = prepare(KIND(KIND.Settings()), raw, TASKS.get("session_based")().split)
    assert list(prepared.catalogue.labels) == ["A - One", "A - Two", "77"]


MALFORMED = [
    (SESSIONS, "", "sessions.idomaar has no rows"),
    (TRACKS, "", "tracks.idomaar has no rows"),
    (SESSIONS, "\n  \n", "sessions.idomaar has no rows"),
]
BAD_LINES = [
    (SESSIONS, line("s", CUT), "expected a JSON object with relations"),
    (SESSIONS, line("s", "[1]"), "expected a JSON object with relations"),
    (SESSIONS, "event.session\ts\t1\t{}\n", "expected a JSON object with relations"),
    (SESSIONS, "event.session,s,1,{} {}\n", "expected 4 or 5 fields between tabs"),
    (SESSIONS, "event.session\ts\t1\n", "expected 4 or 5 fields between tabs"),
    (SESSIONS, "event.session\ts\t1\t{}\t{}\t{}\n", "expected 4 or 5 fields between tabs"),
    (SESSIONS, "type\tid\ttime\tproperties\trelations\n", "expected a line of type event.session"),
    (SESSIONS, session("", 7, [play(1, 0)]), "the id is empty"),
    (SESSIONS, session("s", 7, [play(1, 0)], start="NaN"), "start of the session is not an int"),
    (SESSIONS, session("s", 7, [play(1, 0)], start=""), "start of the session is not an integer"),
    (SESSIONS, session("s", 7, [play(1, 0), play(2, float("nan"))]), "a playstart is not an integ"),
    (SESSIONS, session("s", 7, [play(1, "soon")]), "a playstart is not an integer"),
    (TRACKS, 'track\t9\t-1\t{"name":"x"\t{"tags":[]}\n', "expected a JSON object with properties"),
    (TRACKS, 'track\t9\t-1\t{"name":"x"}\t{"tags":[\n', "expected a JSON object with relations"),
    (TRACKS, 'track\t9\t-1\t{"name":"x"}\n', "expected a JSON object with relations"),
    (TRACKS, "tag\t9\t-1\t{}\t{}\n", "expected a line of type track"),
]


@pytest.mark.parametrize(("name", "text", "message"), MALFORMED)
def test_what_cannot_be_read_at_all(tmp_path, name, text, message):
    given = {SESSIONS: GOOD, TRACKS: NAMED} | {name: text}
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=f"^{message}$"):
            read(tmp_path, given[SESSIONS], given[TRACKS], skip_bad=skip_bad)


@pytest.mark.parametrize(("name", "bad", "message"), BAD_LINES)
def test_bad_lines_are_named_or_counted(tmp_path, name, bad, message):
    good = {SESSIONS: GOOD, TRACKS: NAMED}
    place = good[name].count("\n") + 2
    given = good | {name: good[name] + "\n" + bad + good[name].replace("s1", "s2")}
    base = name.rsplit("/")[-1]
    with pytest.raises(DataError, match=rf"^{base}, line {place}: [^\n]*{message}[^\n]*$"):
        read(tmp_path, given[SESSIONS], given[TRACKS])
    counts = read(tmp_path, given[SESSIONS], given[TRACKS], skip_bad=True).counts
    num_plays = 4 if name == SESSIONS else 2
    assert counts == {"read": num_plays, "owned": num_plays, "complete": num_plays, "bad": 1}


def test_text_that_is_not_utf8(tmp_path):
    bad = session("s9", "Zo\xe9", [play(1, 0)]).replace("\\u00e9", "é").encode("latin-1")
    with pytest.raises(DataError, match=r"^sessions.idomaar, line 2: [^\n]*$"):
        read(tmp_path, GOOD.encode() + bad)
    assert read(tmp_path, GOOD.encode() + bad, skip_bad=True).counts["bad"] == 1


@pytest.mark.parametrize("name", [SESSIONS, TRACKS])
def test_a_gzip_is_read_and_a_truncated_one_is_an_error(tmp_path, name):
    raw = read(tmp_path, GOOD * 2000)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    packed = gzip.compress(whole * 50)
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(whole))
    assert KIND.about is not None
    dataset, scratch = KIND(KIND.Settings()), Scratch(tmp_path / "scratch")
    files = find_files(KIND.about.files, tmp_path)
    assert rows(dataset.read(files, scratch)) == rows(raw)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=rf"^{path.name}(, line \d+)?: [^\n]+$"):
        dataset.read(files, scratch)


def test_nothing_left_is_an_error(tmp_path):
    message = "no play has a user, a track and a playstart: {'read': 1, 'owned': 0, 'complete': 0}"
    with pytest.raises(DataError, match=f"^{SESSIONS}: {message}$"):
        read(tmp_path, line("s", {"objects": [play(1, 0)]}))
