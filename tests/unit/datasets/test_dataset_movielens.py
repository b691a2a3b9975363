"""MovieLens 100K from small made-up files of both forms."""

from pathlib import Path

import pytest

from erase_ray.datasets import DATASETS
from erase_ray.datasets._movielens import GENRES
from erase_ray.errors import DataError
from tests.conftest import SCRATCH

RATINGS = [
    # user, item, rating, time: ties at 100 (item 2 before 10), gaps of 3600 and of 3601 seconds
    ("7", "10", "3", "100"),
    ("7", "2", "5", "100"),
    ("7", "1", "1", "3700"),
    ("7", "3", "4", "7301"),
    ("7", "4", "2", "50"),
    ("12", "1", "4", "20"),
]
FILMS = [
    ("1", "Misérables, Les", "1995", ("Drama", "Musical")),
    ("2", "Seven (Se7en)", "1995", ("Crime", "Thriller")),
    ("3", "Murder at 1600", "1997", ("Mystery", "Thriller")),
    ("4", "unknown", "", ("unknown",)),
    ("10", "2001: Suicide Asylum", "1968", ("Children's", "Sci-Fi")),
]


def official(folder: Path) -> dict[str, Path]:
    """``u.data`` and ``u.item`` as GroupLens ships them."""
    (folder / "u.data").write_text("".join("\t".join(row) + "\n" for row in RATINGS))
    lines = []
    for item, title, year, genres in FILMS:
        flags = [str(int(genre in genres)) for genre in GENRES]
        dated = f"{title} ({year})" if year else title
        lines.append("|".join([item, dated, year and f"01-Jan-{year}", "", "http://x", *flags]))
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")
    return {name: folder / name for name in ("u.data", "u.item")}


def atomic(folder: Path) -> dict[str, Path]:
    """The same as RecBole ships it."""
    rows = [("user_id:token", "item_id:token", "rating:float", "timestamp:float"), *RATINGS]
    (folder / "ml-100k.inter").write_text("".join("\t".join(row) + "\n" for row in rows))
    head = ("item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq")
    films = [(item, title, year, " ".join(genres)) for item, title, year, genres in FILMS]
    text = "".join("\t".join(row) + "\n" for row in [head, *films])
    (folder / "ml-100k.item").write_text(text, encoding="utf-8")
    return {name: folder / name for name in ("ml-100k.inter", "ml-100k.item")}


@pytest.fixture(params=[official, atomic])
def files(request, tmp_path) -> dict[str, Path]:
    return request.param(tmp_path)


def read(name: str, files: dict[str, Path], **settings):
    kind = DATASETS.get(name)
    return kind(kind.Settings(**settings)).read(files, SCRATCH)


def rows(raw) -> list[tuple]:
    columns = ["user", "sequence", "step", "item", "time"]
    return list(raw.frame()[columns].itertuples(index=False, name=None))


def test_users_as_sequences(files):
    assert rows(read("movielens_100k", files)) == [
        ("12", "12", 0, "1", 20),
        ("7", "7", 0, "4", 50),
        ("7", "7", 1, "2", 100),
        ("7", "7", 2, "10", 100),
        ("7", "7", 3, "1", 3700),
        ("7", "7", 4, "3", 7301),
    ]


def test_sessions_end_after_more_than_an_hour(files):
    found = rows(read("movielens_100k_sessions", files))
    assert [(sequence, step, item) for _, sequence, step, item, _ in found] == [
        ("12_0", 0, "1"),
        ("7_0", 0, "4"),
        ("7_0", 1, "2"),
        ("7_0", 2, "10"),
        ("7_0", 3, "1"),
        ("7_1", 0, "3"),
    ]


def test_the_longest_gap_is_a_setting(files):
    found = rows(read("movielens_100k_sessions", files, max_gap_s=49))
    assert [row[1] for row in found] == ["12_0", "7_0", "7_1", "7_1", "7_2", "7_3"]


@pytest.mark.parametrize("name", ["movielens_100k", "movielens_100k_sessions"])
def test_low_ratings_are_dropped_for_good(name, files):
    found = rows(read(name, files, min_rating=4))
    assert [(row[0], row[2], row[3]) for row in found] == [
        ("12", 0, "1"),
        ("7", 0, "2"),
        ("7", 1 if name == "movielens_100k" else 0, "3"),
    ]


def test_labels_and_categories(files):
    raw = read("movielens_100k", files)
    assert raw.labels == {item: title for item, title, _, _ in FILMS}
    assert raw.categories == {
        "health": {"10"},
        "violence": {"3"},
        "extreme_violence": set(),
        "explicit": set(),
    }


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Toy Story (1995)", "Toy Story"),
        ("Land Before Time III, The (1995) (V)", "Land Before Time III, The"),
        ("2001 (A Space Odyssey)", "2001 (A Space Odyssey)"),
        (" 1-900 (1994) ", "1-900"),
    ],
)
def test_the_year_at_the_end_of_a_title_goes(tmp_path, raw, clean):
    files = atomic(tmp_path)
    text = files["ml-100k.item"].read_text().replace("Seven (Se7en)", raw)
    files["ml-100k.item"].write_text(text)
    assert read("movielens_100k", files).labels["2"] == clean


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("7\t1\t3", "u.data: Row #7: Expected 4 columns, got 3"),
        ("7\t1\t3\t4\t5", "u.data: Row #7: Expected 4 columns, got 5"),
        ("7\t1\tgood\t4", "u.data, line 7: rating 'good' is not a number"),
        ("7\t1\t3\tnan", "u.data, line 7: time 'nan' is not a number"),
        ("7\tx1\t3\t4", "u.data, line 7: item 'x1' is not a number"),
        ("7\t1\t3\t4.5", "u.data, line 7: time '4.5' is not a whole number"),
    ],
)
def test_a_malformed_rating(tmp_path, line, text):
    files = official(tmp_path)
    files["u.data"].write_text(files["u.data"].read_text() + line + "\n")
    with pytest.raises(DataError, match=text):
        read("movielens_100k", files)


def test_a_malformed_film(tmp_path):
    files = official(tmp_path)
    text = files["u.item"].read_text(encoding="latin-1").replace("|1", "|yes", 1)
    files["u.item"].write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"u.item, line 1: a genre flag is neither 0 nor 1"):
        read("movielens_100k", files)


def test_a_header_of_another_kind(tmp_path):
    files = atomic(tmp_path)
    text = files["ml-100k.inter"].read_text().replace("rating:float", "stars:float")
    files["ml-100k.inter"].write_text(text)
    with pytest.raises(DataError, match=r"ml-100k.inter lacks the columns \['rating'\]; it has"):
        read("movielens_100k", files)


def test_an_empty_file(tmp_path):
    files = official(tmp_path)
    files["u.data"].write_text("")
    with pytest.raises(DataError, match=r"u.data: Empty CSV file"):
        read("movielens_100k", files)


def test_no_rating_is_high_enough(tmp_path):
    files = official(tmp_path)
    files["u.data"].write_text("1\t1\t2\t5\n")
    with pytest.raises(DataError, match=r"u.data: no rating is 4.5 or more"):
        read("movielens_100k", files, min_rating=4.5)
