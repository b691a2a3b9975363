"""Goodreads from small files that were made by hand."""

import gzip
import json
from pathlib import Path

import pytest

from erase_ray.datasets import DATASETS, RawData, Scratch
from erase_ray.datasets._own_files import find_files
from erase_ray.errors import DataError

KIND = DATASETS.get("goodreads")
ROWS, BOOK_MAP, USER_MAP = "goodreads_interactions.csv", "book_id_map.csv", "user_id_map.csv"
BOOKS, GENRES = "goodreads_books.json", "goodreads_book_genres_initial.json"
INTERACTIONS = (
    "user_id,book_id,is_read,rating,is_reviewed\n"
    "1,0,1,5,0\n"  # row 0
    "0,1,1,3,0\n"
    "0,2,1,2,1\n"  # under the threshold
    "0,0,0,0,0\n"  # not rated
    "1,2,1,4,0\n"
    "0,1,1,3,0\n"  # again
    "0,1,1,5,0\n"  # other stars
    "1,3,1,5,0\n"  # the map does not know the book
    "0,4,1,5,0\n"  # row 8
)
BOOKS_OF = [
    # real ids of the books 0, 1, 2, 4 of the interactions: 2, 0042, 1, 9007199254740993
    {"book_id": "0042", "title": "Depression", "description": "On THERAPY.", "popular_shelves": []},
    {"book_id": "1", "title": "War, Death and Massacre", "description": None},
    {
        "book_id": "2",
        "title": "Edward had begun",
        "description": "",
        "popular_shelves": [{"count": "3", "name": "war"}, {"count": "1", "name": "young-adult"}],
    },
    {"book_id": "9007199254740993", "popular_shelves": None},
    {"book_id": "0", "title": "Erotic, but nobody has it"},
]
GENRES_OF = [
    {"book_id": "1", "genres": {"young-adult": 7, "war": 1}},
    {"book_id": "2", "genres": {}},
]


def lines(objects: list[dict]) -> str:
    return "".join(json.dumps(item) + "\n" for item in objects)


TEXTS = {
    ROWS: INTERACTIONS,
    BOOK_MAP: "book_id_csv,book_id\n0,2\n1,0042\n2,1\n4,9007199254740993\n",
    USER_MAP: "user_id_csv,user_id\n0,8842281e1d1347389f2ab93d60773d4d\n1,72fb\n",
    BOOKS: lines(BOOKS_OF),
    GENRES: lines(GENRES_OF),
}


def read(folder: Path, texts: dict[str, str | bytes], **settings) -> RawData:
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    assert KIND.about is not None
    files = find_files(KIND.about.files, folder)
    settings = {"core": 0} | settings
    return KIND(KIND.Settings(**settings)).read(files, Scratch(folder / "scratch"))


def rows(raw: RawData) -> list[tuple]:
    frame = raw.frame()
    return list(frame[["user", "step", "item", "time"]].itertuples(index=False, name=None))


def test_ids_are_joined_and_rows_are_numbered(tmp_path):
    raw = read(tmp_path, TEXTS)
    assert rows(raw) == [
        ("72fb", 0, "2", 0),
        ("72fb", 1, "1", 4),
        ("8842281e1d1347389f2ab93d60773d4d", 0, "0042", 1),
        ("8842281e1d1347389f2ab93d60773d4d", 1, "0042", 6),
        ("8842281e1d1347389f2ab93d60773d4d", 2, "9007199254740993", 8),
    ]
    assert raw.counts == {"read": 9, "rated": 7, "mapped": 6, "distinct": 5}
    assert raw.frame()["sequence"].tolist() == raw.frame()["user"].tolist()


def test_people_keep_their_number_without_a_map(tmp_path):
    raw = read(tmp_path, {name: TEXTS[name] for name in TEXTS if name != USER_MAP})
    assert {user for user, *_ in rows(raw)} == {"0", "1"}


def test_two_numbers_of_one_real_id_are_one_book(tmp_path):
    texts = TEXTS | {BOOK_MAP: "book_id_csv,book_id\n0,2\n1,2\n2,1\n4,1\n"}
    assert set(read(tmp_path, texts).frame()["item"]) == {"1", "2"}


def test_unrated_rows_stay_if_asked_for(tmp_path):
    counts = read(tmp_path, TEXTS, min_rating=0).counts
    assert counts == {"read": 9, "rated": 9, "mapped": 8, "distinct": 7}
    assert read(tmp_path, TEXTS, min_rating=1).counts["rated"] == 8
    assert read(tmp_path, TEXTS, min_rating=0, core=2).counts["2-core"] == 6


def test_categories_of_the_books_that_are_left(tmp_path):
    items = read(tmp_path, TEXTS).items
    assert sorted(items.outer) == ["0042", "1", "2", "9007199254740993"]
    assert items.members("mental_health") == {"0042"}
    assert items.members("violence") == {"2"}  # "gun" in begun, and a shelf
    assert items.members("explicit") == {"2"}
    labels = dict(zip(items.outer, items.label, strict=True))
    assert labels["1"] == "War, Death and Massacre"
    assert labels["9007199254740993"] == "9007199254740993"


def test_genres_are_a_signal_if_asked_for(tmp_path):
    items = read(tmp_path, TEXTS, use_genres=True).items
    assert items.members("violence") == {"1", "2"}
    assert items.members("explicit") == {"1", "2"}


def test_genres_that_are_wanted_must_be_there(tmp_path):
    texts = {name: TEXTS[name] for name in TEXTS if name != GENRES}
    with pytest.raises(DataError, match=rf"^use_genres of goodreads needs {GENRES}, found book_id"):
        read(tmp_path, texts, use_genres=True)
    assert read(tmp_path, texts).counts["distinct"] == 5


def test_maps_of_another_release(tmp_path):
    texts = TEXTS | {BOOK_MAP: "book_id_csv,book_id\n0,2\n"}
    with pytest.raises(DataError, match=r"know the ids of only 1 of 7 rows of goodreads_inter"):
        read(tmp_path, texts)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        (BOOK_MAP, "1,77\n", "book_id_map.csv: book_id_csv 1 is there twice"),
        (USER_MAP, "0,abc\n", "user_id_map.csv: user_id_csv 0 is there twice"),
    ],
)
def test_a_map_with_a_number_twice(tmp_path, name, line, message):
    with pytest.raises(DataError, match=f"^{message}$"):
        read(tmp_path, TEXTS | {name: TEXTS[name] + line})


def test_nothing_left_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"^goodreads_interactions.csv: cleaning leaves no rating"):
        read(tmp_path, TEXTS, core=5)


MALFORMED = [
    (ROWS, "user_id,book_id,stars\n1,0,5\n", "line 1: the header lacks rating"),
    (ROWS, INTERACTIONS.replace(",", "\t"), r"line 1: .* separated by '\\t', not ','"),
    (ROWS, "user_id,book_id,is_read,rating,is_reviewed\n", " has no rows"),
    (ROWS, "", " is empty"),
    (BOOK_MAP, "book_id,real\n0,2\n", "line 1: the header lacks book_id_csv"),
    (BOOK_MAP, "book_id_csv,book_id\n", " has no rows"),
    (USER_MAP, "user_id;user_id_csv\n", "line 1: .* separated by ';', not ','"),
    (BOOKS, "", " has no rows"),
    (GENRES, "", " has no rows"),
]
BAD_LINES = [
    (ROWS, "1,0,1,NaN,0", "rating is not a finite number"),
    (ROWS, "1,0,1,five,0", 'Could not convert string "five"'),
    (ROWS, "1,book,1,5,0", 'Could not convert string "book"'),
    (ROWS, "user_id,book_id,is_read,rating,is_reviewed", 'Could not convert string "'),
    (ROWS, "1,0,1,5", "Expected Number of Columns: 5 Found: 4"),
    (ROWS, "1,,1,5,0", "book_id is empty"),
    (BOOK_MAP, "book_id_csv,book_id", 'Could not convert string "book_id_csv"'),
    (BOOK_MAP, "9,", "book_id is empty"),
    (USER_MAP, "9", "Expected Number of Columns: 2 Found: 1"),
    (BOOKS, '{"book_id": "8", "title": "cut', "not a JSON object"),
    (BOOKS, '["8"]', "not a JSON object"),
    (BOOKS, '{"title": "no id"}', "book_id is missing"),
    (BOOKS, '{"book_id": ""}', "book_id is empty"),
    (GENRES, '{"book_id": "8", "genres": {', "not a JSON object"),
    (GENRES, '{"genres": {}}', "book_id is missing"),
]


@pytest.mark.parametrize(("name", "text", "message"), MALFORMED)
def test_what_cannot_be_read_at_all(tmp_path, name, text, message):
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=rf"^{name}(, )?{message}[^\n]*$"):
            read(tmp_path, TEXTS | {name: text}, skip_bad=skip_bad, use_genres=True)


@pytest.mark.parametrize(("name", "line", "message"), BAD_LINES)
def test_bad_lines_are_named_or_counted(tmp_path, name, line, message):
    place = TEXTS[name].count("\n") + 1
    texts = TEXTS | {name: TEXTS[name] + line + "\n"}
    with pytest.raises(DataError, match=rf"^{name}, line {place}: [^\n]*{message}[^\n]*$"):
        read(tmp_path, texts, use_genres=True)
    raw = read(tmp_path, texts, skip_bad=True, use_genres=True)
    assert raw.counts == {"read": 9, "rated": 7, "mapped": 6, "distinct": 5, "bad": 1}


@pytest.mark.parametrize("name", TEXTS)
def test_a_truncated_gzip_is_no_short_file(tmp_path, name):
    texts = dict(TEXTS)
    texts[f"{name}.gz"] = gzip.compress(texts.pop(name).encode())[:-12]
    with pytest.raises(DataError, match=rf"^{name}.gz: [^\n]*(?i:gzip)[^\n]*$"):
        read(tmp_path, texts, skip_bad=True, use_genres=True)
