"""MovieLens 20M from small files that were made by hand."""

import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from erase_ray.datasets import DATASETS, RawData, Scratch
from erase_ray.datasets._own_files import find_files
from erase_ray.errors import DataError

T = '"2005-04-02 23:53:47"'
AT = 1_112_486_027
RATINGS = (
    '"userId","movieId","rating","timestamp"\n'
    f"7,10,3.5,{T}\n"
    f"7,9,5,{T}\n"
    f'7,2,4.0,"1970-01-01 00:00:01"\n'
    f"7,2,3.0,{T}\n"  # under the threshold
    f"007,2,4.5,{T}\n"
    f"007,2,4.5,{T}\n"  # again
    f'007,2,4.5,"2005-04-02 23:53:48"\n'  # at another time
    f"9007199254740993,0,4,{T}\n"
    f"9007199254740992,0,4,{T}\n"
)
FILMS = (
    '"movieId","title","genres"\n'
    '0,"Edward, ""the"" Begun (1995)","Thriller|Drama"\n'
    '2,"Die Ärzte (1999)","(no genres listed)"\n'
    '9,"WAR Stories (2001)","Crime|Drama"\n'
    '10,"Quiet Lake","War"\n'
    '11,"Nobody Saw the Asylum","Drama"\n'
)
TAGS = (
    '"userId","movieId","tag","timestamp"\n'
    f'1,2,"so ""Psychological"", really",{T}\n'
    f"1,2,funny,{T}\n"
    f"1,0,,{T}\n"
    f"1,10,gory,{T}\n"
    f"1,999,ptsd,{T}\n"
)
TEXTS = {"rating.csv": RATINGS, "movie.csv": FILMS, "tag.csv": TAGS}
KIND = DATASETS.get("movielens")


def read(folder: Path, texts: dict[str, str | bytes], **settings) -> RawData:
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    assert KIND.about is not None
    files = find_files(KIND.about.files, folder)
    settings = {"core": 0} | settings
    return KIND(KIND.Settings(**settings)).read(files, Scratch(folder / "scratch"))


def rows(raw: RawData) -> list[tuple]:
    return list(raw.frame().itertuples(index=False, name=None))


def test_rows_by_person_and_time(tmp_path):
    raw = read(tmp_path, TEXTS)
    assert rows(raw) == [
        ("007", "007", 0, "2", AT),
        ("007", "007", 1, "2", AT + 1),
        ("7", "7", 0, "2", 1),
        ("7", "7", 1, "9", AT),
        ("7", "7", 2, "10", AT),
        ("9007199254740992", "9007199254740992", 0, "0", AT),
        ("9007199254740993", "9007199254740993", 0, "0", AT),
    ]
    assert raw.counts == {"read": 9, "rated": 8, "distinct": 7}


def test_threshold_and_core_can_be_switched_off_and_on(tmp_path):
    assert read(tmp_path, TEXTS, min_rating=0).counts == {"read": 9, "rated": 9, "distinct": 8}
    assert read(tmp_path, TEXTS, min_rating=4.5, core=2).counts == {
        "read": 9,
        "rated": 4,
        "distinct": 3,
        "2-core": 2,
    }


def test_categories_from_title_genres_and_tags(tmp_path):
    items = read(tmp_path, TEXTS).items
    assert items.members("health") == {"2", "11"}
    assert items.members("violence") == {"9", "10"}
    assert items.members("extreme_violence") == set()
    assert dict(zip(items.outer, items.label, strict=True))["0"] == 'Edward, "the" Begun (1995)'


def test_tags_are_optional(tmp_path):
    raw = read(tmp_path, {name: TEXTS[name] for name in ("rating.csv", "movie.csv")})
    assert raw.items.members("health") == {"11"}
    assert raw.items.members("violence") == {"9"}


def test_a_film_that_is_listed_twice_is_one_item(tmp_path):
    raw = read(tmp_path, TEXTS | {"movie.csv": FILMS + '2,"Asylum","Drama"\n'})
    assert list(raw.items.outer).count("2") == 1
    assert "2" in raw.items.members("health")


def test_release_of_grouplens_has_other_names_and_seconds(tmp_path):
    plain = {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n",
        "movies.csv": "movieId,title,genres\n2,Jumanji (1995),Adventure|Children\n",
        "tags.csv": "userId,movieId,tag,timestamp\n1,2,ptsd,1112486027\n",
    }
    raw = read(tmp_path, plain, release="grouplens")
    assert rows(raw) == [("1", "1", 0, "2", AT)]
    assert raw.items.members("health") == {"2"}


def test_gzipped_files_are_read(tmp_path):
    texts = {f"{name}.gz": gzip.compress(text.encode()) for name, text in TEXTS.items()}
    assert read(tmp_path, texts).counts["distinct"] == 7


def test_missing_files_are_named(tmp_path):
    with pytest.raises(
        DataError, match=r"release 'kaggle' of movielens needs rating.csv and movie"
    ):
        read(tmp_path, {"rating.csv": RATINGS})
    with pytest.raises(
        DataError, match=r"release 'grouplens' .* found movie.csv, rating.csv, tag.csv; get"
    ):
        read(tmp_path, TEXTS | {"tag.csv": ""}, release="grouplens")


def test_nothing_left_is_an_error(tmp_path):
    with pytest.raises(
        DataError, match=r"^rating.csv: cleaning leaves no rating \(read 9, rated 8"
    ):
        read(tmp_path, TEXTS, core=5)


HEADER = '"userId","movieId","rating","timestamp"\n'
MALFORMED = [
    (
        "rating.csv",
        "userId,movieId,stars\n1,2,3.5\n",
        "line 1: the header lacks rating, timestamp",
    ),
    ("rating.csv", RATINGS.replace(",", ";"), "line 1: .* separated by ';', not ','"),
    ("rating.csv", HEADER, " has no rows"),
    ("rating.csv", "", " is empty"),
    ("movie.csv", "movieId,name,genres\n2,A,B\n", "line 1: the header lacks title"),
    ("movie.csv", '"movieId","title","genres"\n', " has no rows"),
    ("tag.csv", "userId,movieId,label\n1,2,x\n", "line 1: the header lacks tag"),
]
BAD_LINES = [
    ("rating.csv", f"1,2,NaN,{T}", "rating is not a finite number"),
    ("rating.csv", f"1,2,inf,{T}", "rating is not a finite number"),
    ("rating.csv", f"1,2,good,{T}", 'Could not convert string "good"'),
    ("rating.csv", '1,2,4.0,"02.04.2005"', 'Could not convert string "02.04.2005"'),
    ("rating.csv", "userId,movieId,rating,timestamp", 'Could not convert string "rating"'),
    ("rating.csv", "1,2,4.0", "Expected Number of Columns: 4 Found: 3"),
    ("rating.csv", f"1,2,4.0,{T},9", "Expected Number of Columns: 4 Found: 5"),
    ("rating.csv", f",2,4.0,{T}", "userId is empty"),
    ("rating.csv", f"1,,4.0,{T}", "movieId is empty"),
    ("rating.csv", b"\xff\xfe,2,4.0," + T.encode(), "not utf-8"),
    ("movie.csv", "movieId,title,genres", "the line is the header again"),
    ("movie.csv", "12,,Drama", "title is empty"),
    ("movie.csv", "12,Title, with comma,Drama", "Expected Number of Columns: 3 Found: 4"),
    ("tag.csv", "userId,movieId,tag,timestamp", "the line is the header again"),
    ("tag.csv", "1,2,x", "Expected Number of Columns: 4 Found: 3"),
    ("tag.csv", f"1,,x,{T}", "movieId is empty"),
]


@pytest.mark.parametrize(("name", "text", "message"), MALFORMED)
def test_what_cannot_be_read_at_all(tmp_path, name, text, message):
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=rf"^{name}(, )?{message}[^\n]*$"):
            read(tmp_path, TEXTS | {name: text}, skip_bad=skip_bad)


@pytest.mark.parametrize(("name", "line", "message"), BAD_LINES)
def test_bad_lines_are_named_or_counted(tmp_path, name, line, message):
    place = TEXTS[name].count("\n") + 1
    content = TEXTS[name].encode() + (line if isinstance(line, bytes) else line.encode()) + b"\n"
    texts = TEXTS | {name: content}
    with pytest.raises(DataError, match=rf"^{name}, line {place}: [^\n]*{message}[^\n]*$"):
        read(tmp_path, texts)
    raw = read(tmp_path, texts, skip_bad=True)
    assert raw.counts == {"read": 9, "rated": 8, "distinct": 7, "bad": 1}


@pytest.mark.parametrize("name", TEXTS)
def test_a_truncated_gzip_is_no_short_file(tmp_path, name):
    texts = dict(TEXTS)
    texts[f"{name}.gz"] = gzip.compress(texts.pop(name).encode())[:-12]
    with pytest.raises(DataError, match=rf"^{name}.gz: [^\n]*(?i:gzip)[^\n]*$"):
        read(tmp_path, texts, skip_bad=True)


def test_settings_have_bounds():
    with pytest.raises(ValidationError, match=r"min_rating\n\s+Input should be less than or equal"):
        KIND.Settings(min_rating=5.5)
    with pytest.raises(ValidationError, match=r"core\n\s+Input should be greater than or equal"):
        KIND.Settings(core=-1)
