"""#nowplaying from small files that were made by hand."""

import gzip
import os
import re
import time
from pathlib import Path

import pytest

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, RawData, Scratch
from erase_ray.datasets._own_files import find_files
from erase_ray.datasets._rules_nowplaying import NAME, RULES
from erase_ray.datasets.nowplaying import FILE
from erase_ray.errors import DataError
from erase_ray.tasks import TASKS

KIND = DATASETS.get("nowplaying")
HEADER = "user_id,source,timestamp,track_title,artist_name,musicbrainz_id,session_id\n"
DAY = 1_391_472_000
"""2014-02-04 in UTC."""


def line(user="u", at="05:39:33", title="Song", artist="Band", item="i1", session="9") -> str:
    stamp = f"2014-02-04 {at}" if re.fullmatch(r"[\d:]{8}", at) else at
    return f"{user},Spotify,{stamp},{title},{artist},{item},{session}\n"


GOOD = HEADER + line()


def read(folder: Path, text: str | bytes, **settings) -> RawData:
    (folder / FILE).write_bytes(text.encode() if isinstance(text, str) else text)
    assert KIND.about is not None
    files = find_files(KIND.about.files, folder)
    return KIND(KIND.Settings(**settings)).read(files, Scratch(folder / "scratch"))


def rows(raw: RawData) -> list[tuple]:
    frame = raw.frame().sort_values(["sequence", "step"], kind="stable")
    columns = ["user", "sequence", "step", "item", "time"]
    return list(frame[columns].itertuples(index=False, name=None))


def test_time_is_read_as_utc_wherever_the_reader_is(tmp_path, monkeypatch):
    text = GOOD + line(at="2014-03-30 02:30:00", item="i2")  # an hour that Berlin leaves out
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        found = rows(read(tmp_path, text))
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert found == [
        ("u", "9", 0, "i1", DAY + 5 * 3600 + 39 * 60 + 33),
        ("u", "9", 1, "i2", DAY + 54 * 86_400 + 2 * 3600 + 30 * 60),
    ]


def test_rows_are_in_order_of_time_and_ties_in_that_of_the_file(tmp_path):
    plays = [("05:00:09", "b"), ("05:00:01", "z"), ("05:00:09", "a"), ("05:00:05", "b")]
    text = HEADER + "".join(line(at=at, item=item) for at, item in plays)
    assert [item for *_, item, _ in rows(read(tmp_path, text))] == ["z", "b", "b", "a"]


def test_a_user_as_one_sequence(tmp_path):
    text = HEADER + line(at="09:00:00", item="c", session="1") + line(at="07:00:00", item="a")
    text += line(at="08:00:00", item="b") + line(user="v", at="01:00:00", session="2")
    found = rows(read(tmp_path, text, sequence="user"))
    assert [(sequence, step, item) for _, sequence, step, item, _ in found] == [
        ("u", 0, "a"),
        ("u", 1, "b"),
        ("u", 2, "c"),
        ("v", 0, "i1"),
    ]


def test_ids_are_texts(tmp_path):
    ids = [("007", "0", "00420"), ("7", "00", "0420"), ("7", "0", "9" * 25)]
    text = HEADER + "".join(line(user=u, item=i, session=s) for u, i, s in ids)
    assert {(user, item, session) for user, session, _, item, _ in rows(read(tmp_path, text))} == {
        *ids
    }


DROPPED = {
    "user": (line(user=""), "complete"),
    "item": (line(item=""), "complete"),
    "quoted item": (line(item="''"), "complete"),
    "session": (line(session=""), "complete"),
    "no time": (line(at=""), "timed"),
    "no number": (line(at="NaN"), "timed"),
    "no day": (line(at="2014-02-30 10:00:00"), "timed"),
    "year zero": (line(at="0000-00-00 00:00:00"), "timed"),
    "another form": (line(at="04.02.2014 10:00"), "timed"),
    "repeat": (line(), "distinct"),
    "repeat with another title": (line(title="Other"), "distinct"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_rows_that_go_by_rule_are_counted(tmp_path, case):
    bad, step = DROPPED[case]
    names = ["read", "complete", "timed", "distinct"]
    raw = read(tmp_path, GOOD + bad + line(item="i2"))
    assert list(raw.counts) == names
    assert raw.counts == {name: 3 - (n >= names.index(step)) for n, name in enumerate(names)}
    assert {item for *_, item, _ in rows(raw)} == {"i1", "i2"}
    assert min(raw.time) > DAY


def test_one_track_at_two_times_or_in_two_sessions_stays(tmp_path):
    text = GOOD + line(at="05:39:34") + line(session="10") + line(user="v", session="11")
    assert read(tmp_path, text).counts["distinct"] == 4


def test_single_quotes(tmp_path):
    text = HEADER + line(title="'Yes, ''No'' '''", artist='"O"', item="a")
    text += line(title="It's", artist="'Duo, Trio'", item="b") + line(title="'''Til'", item="c")
    items = read(tmp_path, text).items
    assert dict(zip(items.outer, items.label, strict=True)) == {
        "a": "\"O\" - Yes, 'No' '",
        "b": "Duo, Trio - It's",
        "c": "Band - 'Til",
    }


def test_labels_without_title_or_artist(tmp_path):
    text = HEADER + line(title="", item="a") + line(artist="", item="b")
    text += line(title="", artist="", item="c")
    items = read(tmp_path, text).items
    labels = dict(zip(items.outer, items.label, strict=True))
    assert labels == {"a": "Band", "b": "Song", "c": "c"}


NAMES = {
    # title, artist, categories
    ("Schrei nach Liebe", "Die Ärzte"): "health violence",
    ("Diet", "Died"): "",
    ("Moonlight", "EDWARD"): "violence",
    ("We've Begun", "Band"): "violence",
    ("Assam", "Sussex"): "",
    ("Hell", "Hello"): "explicit violence",
    ("Painted", "Skilled"): "",
    ("self", "harm"): "health",
    ("Parental", "Advisory"): "explicit",
    ("Depression", "Schizophrenic"): "health",
    ("Gingerbread", "Björk"): "",
    ("", "heroin"): "explicit",
    ("kill myself", ""): "health violence",
}


def test_keywords_in_title_and_artist_together(tmp_path):
    text = HEADER + "".join(
        line(title=title, artist=artist, item=str(n)) for n, (title, artist) in enumerate(NAMES)
    )
    items = read(tmp_path, text).items
    for category in RULES:
        expected = {str(n) for n, found in enumerate(NAMES.values()) if category in found.split()}
        assert items.members(category) == expected


def test_every_keyword_counts(tmp_path):
    words = {
        category: [*rule.fields[NAME].words, *rule.fields[NAME].parts]
        for category, rule in RULES.items()
    }
    assert {category: len(found) for category, found in words.items()} == {
        "health": 17,
        "explicit": 19,
        "violence": 21,
    }
    text = HEADER + "".join(
        line(title=f"a {word} b".upper(), item=f"{category}/{word}")
        for category, found in words.items()
        for word in found
    )
    items = read(tmp_path, text).items
    for category, found in words.items():
        assert items.members(category) >= {f"{category}/{word}" for word in found}


def test_the_first_row_of_a_track_decides(tmp_path):
    text = HEADER + line(title="Fuck", item="a") + line(title="Calm", item="b", at="05:00:00")
    text += line(title="Calm", item="a", at="01:00:00") + line(title="Fuck", item="b")
    text += line(title="", artist="", item="c") + line(title="Fuck", item="c")
    text += line(title="Fuck", item="d", at="NaN") + line(item="d")
    items = read(tmp_path, text).items
    assert items.members("explicit") == {"a", "d"}
    assert dict(zip(items.outer, items.label, strict=True))["b"] == "Band - Calm"


def test_a_session_of_two_people_is_an_error(tmp_path):
    raw = read(tmp_path, GOOD + line(user="v"))
    with pytest.raises(DataError, match="sequence '9' of the raw interactions belongs to two user"):
        prepare(KIND(KIND.Settings()), raw, TASKS.get("session_based")().split)


MALFORMED = [
    ("", " is empty; expected a header line"),
    (HEADER, " has no rows"),
    (HEADER.replace("session_id", "session") + line(), ", line 1: the header lacks session_id; .*"),
    (GOOD.replace(",", ";"), r", line 1: the header lacks .* separated by ';', not ','\?"),
]
BAD_LINES = [
    (HEADER, "the line is the header again"),
    ("u,Spotify,2014-02-04 05:39:33,Song,Band\n", "Expected Number of Columns: 7 Found: 5"),
    (line(title="a,b"), "Expected Number of Columns: 7 Found: 8"),
]


@pytest.mark.parametrize(("text", "message"), MALFORMED)
def test_what_cannot_be_read_at_all(tmp_path, text, message):
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=f"^{FILE}{message}$"):
            read(tmp_path, text, skip_bad=skip_bad)


@pytest.mark.parametrize(("bad", "message"), BAD_LINES)
def test_bad_lines_are_named_or_counted(tmp_path, bad, message):
    text = GOOD + bad + line(item="i2")
    with pytest.raises(DataError, match=rf"^{FILE}, line 3: [^\n]*{message}[^\n]*$"):
        read(tmp_path, text)
    counts = read(tmp_path, text, skip_bad=True).counts
    assert counts == {"read": 2, "complete": 2, "timed": 2, "distinct": 2, "bad": 1}


def test_a_quote_that_stays_open(tmp_path):
    with pytest.raises(DataError, match=rf"^{FILE}, line 3: [^\n]+$"):
        read(tmp_path, GOOD + line(title="'Til") + line(item="i2"))


def test_text_that_is_not_utf8(tmp_path):
    text = GOOD.encode() + line(title="Été", item="i3").encode("latin-1") + line(item="i2").encode()
    with pytest.raises(DataError, match=rf"^{FILE}, line 3: [^\n]+$"):
        read(tmp_path, text)
    assert read(tmp_path, text, skip_bad=True).counts["bad"] == 1


def test_a_truncated_gzip(tmp_path):
    whole = HEADER + "".join(line(item=os.urandom(8).hex()) for _ in range(5000))
    packed = gzip.compress(whole.encode())
    path = tmp_path / f"{FILE}.gz"
    dataset, scratch = KIND(KIND.Settings()), Scratch(tmp_path / "scratch")
    path.write_bytes(packed)
    assert dataset.read({FILE: path}, scratch).counts["distinct"] == 5000
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=rf"^{path.name}(, line \d+)?: [^\n]+$"):
        dataset.read({FILE: path}, scratch)


def test_nothing_left_is_an_error(tmp_path):
    message = "no row has a user, an item, a session and a time: {'read': 1, 'complete': 1,"
    with pytest.raises(DataError, match=f"^{FILE}: {message} 'timed': 0}}$"):
        read(tmp_path, HEADER + line(at="NaN"))
