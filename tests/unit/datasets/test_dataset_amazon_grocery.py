"""Amazon groceries from small made-up files: cleaning, ties, families, faults."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amazon_files import STEMS, members, read, review, rows, write_files
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from erase_ray.datasets import DATASETS
from erase_ray.datasets._amazon_reviews import _distinct
from erase_ray.errors import DataError

NAME = "amazon_grocery"
REVIEWS, META = f"{STEMS[NAME]}.jsonl", f"meta_{STEMS[NAME]}.jsonl"
PLAIN = {"parent_asin": "B01", "title": "Tea"}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_reads_plain_and_gzipped_files(tmp_path, ending):
    write_files(tmp_path, NAME, [review("u", "B01", 2000)], [PLAIN], ending)
    raw = read(NAME, tmp_path, core=0)
    assert rows(raw) == [("u", 0, "B01", 2)]
    assert dict(zip(raw.items.outer, raw.items.label, strict=True)) == {"B01": "Tea"}
    assert raw.counts == {"read": 1, "complete": 1, "rated": 1, "distinct": 1}


def test_orders_by_milliseconds_and_ties_by_natural_order(tmp_path):
    reviews = [
        review("u", "B9", 5000),
        review("u", "0012", 5000),
        review("u", "2", 5000),
        review("u", "B01", 4999),
        review("u", "B02", 4001),
    ]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    assert rows(read(NAME, tmp_path, core=0)) == [
        ("u", 0, "B02", 4),
        ("u", 1, "B01", 4),
        ("u", 2, "2", 5),
        ("u", 3, "0012", 5),
        ("u", 4, "B9", 5),
    ]


def test_ids_stay_texts(tmp_path):
    reviews = [review("0", "0000000000", 1000), review("007", "0001", 2000), review("7", "1", 3000)]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    raw = read(NAME, tmp_path, core=0)
    assert set(raw.frame()["user"]) == {"0", "007", "7"}
    assert set(raw.frame()["item"]) == {"0000000000", "0001", "1"}


def test_drops_incomplete_reviews_and_counts_them(tmp_path):
    whole = review("u", "B01", 1000)
    lacking = [{key: whole[key] for key in whole if key != "rating"}]
    lacking += [{**whole, key: None} for key in ("user_id", "asin", "parent_asin", "timestamp")]
    lacking += [{**whole, key: ""} for key in ("user_id", "asin", "parent_asin")]
    write_files(tmp_path, NAME, [*lacking, whole], [PLAIN])
    raw = read(NAME, tmp_path, core=0)
    assert raw.counts == {"read": 9, "complete": 1, "rated": 1, "distinct": 1}


@pytest.mark.parametrize(("min_rating", "left"), [(0, 4), (3.0, 3), (3.5, 2), (3.51, 1)], ids=str)
def test_threshold_drops_reviews(tmp_path, min_rating, left):
    ratings = (1, 3.0, 3.5, 5)
    reviews = [review("u", f"B{n}", n * 1000, rating) for n, rating in enumerate(ratings)]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    raw = read(NAME, tmp_path, core=0, min_rating=min_rating)
    assert (raw.counts["rated"], len(raw)) == (left, left)


def test_default_threshold_is_three_and_a_half():
    settings = DATASETS.get(NAME).Settings()
    assert (settings.min_rating, settings.core, settings.skip_bad) == (3.5, 5, False)


def test_repeats_differ_in_one_of_four_facts(tmp_path):
    reviews = [
        review("u", "B01", 1000),
        review("u", "B01", 1000, text="other", helpful_vote=3),
        review("u", "B01", 1001),
        review("u", "B01", 1000, 4.0),
        review("u", "B02", 1000),
        review("v", "B01", 1000),
    ]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    raw = read(NAME, tmp_path, core=0)
    assert raw.counts["distinct"] == 5
    assert [row[2] for row in rows(raw)] == ["B01", "B01", "B02", "B01", "B01"]


@given(
    arrays(np.int64, st.tuples(st.just(4), st.integers(0, 40)), elements=st.integers(0, 2)),
    st.sampled_from([1, 700]),
)
def test_first_of_equal_rows_stays(columns, unit_ms):
    user, item, rating, time_ms = columns
    stays = _distinct(user, item, rating / 2, time_ms * unit_ms)
    rows = list(zip(*columns.tolist(), strict=True))
    assert stays.tolist() == [row not in rows[:place] for place, row in enumerate(rows)]


def test_core_goes_on_until_nothing_changes(tmp_path):
    # c has one review, so u has one left, so b has one left; a and v, w hold each other
    pairs = ["ub", "uc", "vb", "va", "vd", "wa", "wd"]
    reviews = [review(user, item, n * 1000) for n, (user, item) in enumerate(pairs)]
    write_files(tmp_path, NAME, reviews, [{**PLAIN, "parent_asin": "a"}])
    raw = read(NAME, tmp_path, core=2)
    assert raw.counts["2-core"] == 4
    assert {(row[0], row[2]) for row in rows(raw)} == {
        ("v", "a"), ("v", "d"), ("w", "a"), ("w", "d")
    }  # fmt: skip
    assert set(raw.items.outer) == {"a"}


def test_repeats_are_counted_whoever_stays_and_make_nobody_stay(tmp_path):
    trio = [review(user, item, n * 1000) for user in "uvw" for n, item in enumerate("abc")]
    reviews = [*trio, *[review("two", "a", 1)] * 2, *[review("three", "a", 1)] * 3]
    write_files(tmp_path, NAME, reviews, [{**PLAIN, "parent_asin": "a"}])
    raw = read(NAME, tmp_path, core=3, min_rating=0)
    assert raw.counts == {"read": 14, "complete": 14, "rated": 14, "distinct": 11, "3-core": 9}
    assert set(raw.frame()["user"]) == {"u", "v", "w"}


def test_products_of_a_family_through_all_reviews(tmp_path):
    reviews = [
        review("u", "B01", 1000, parent_asin="P1"),
        review("u", "B02", 2000, parent_asin="P1"),
        review("u", "B03", 3000, parent_asin="P2"),
        # too few stars to stay, but it says what B03 is
        review("v", "B03", 4000, 1.0, parent_asin="P1"),
        review("u", "B04", 5000, parent_asin="P3"),
        review("u", "P1", 6000, parent_asin="P2"),
    ]
    families = [
        {"parent_asin": "P1", "title": "Ham"},
        {"parent_asin": "P2", "title": "Tea"},
        {"parent_asin": "P2", "title": None, "store": "Gin House"},
    ]
    write_files(tmp_path, NAME, reviews, families)
    raw = read(NAME, tmp_path, core=0)
    assert members(raw) == {"meat": {"B01", "B02", "B03"}, "alcohol": {"B03", "P1"}}
    assert dict(zip(raw.items.outer, raw.items.label, strict=True)) == {
        "B01": "Ham", "B02": "Ham", "B03": "Ham", "P1": "Tea"
    }  # fmt: skip


FIELDS = {
    "main_category": "BEEF",
    "categories": ["Pantry", "Beef"],
    "title": "Fine beef.",
    "description": ["Good", None, "with beef"],
    "features": ["beef-flavoured"],
    "details": {"Kind": "(beef)"},
    "store": "Beef Shop",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_word_in_any_field_is_enough(tmp_path, field):
    reviews = [review("u", "B01", 1000), review("u", "B02", 2000)]
    families = [
        {"parent_asin": "B01", field: FIELDS[field]},
        {"parent_asin": "B02", "title": "Beefy", "details": {"beef": "none"}, "text": "beef"},
    ]
    write_files(tmp_path, NAME, reviews, families)
    raw = read(NAME, tmp_path, core=0)
    assert members(raw) == {"meat": {"B01"}, "alcohol": set()}


def test_words_inside_other_words_do_not_count(tmp_path):
    titles = ["Gingerbread", "Graham Crackers", "Drumstick", "Non-Alcoholic", "meatless", "Wines"]
    reviews = [review("u", f"B{n}", n * 1000) for n in range(len(titles))]
    families = [{"parent_asin": f"B{n}", "title": title} for n, title in enumerate(titles)]
    write_files(tmp_path, NAME, reviews, families)
    assert members(read(NAME, tmp_path, core=0)) == {"meat": set(), "alcohol": set()}


def test_values_of_details_may_be_nested_and_fields_null(tmp_path):
    reviews = [review("u", "B01", 1000), review("u", "B02", 2000)]
    families = [
        {"parent_asin": "B01", "details": {"Rank": {"Wine": 4}}},
        {"parent_asin": "B02", **dict.fromkeys(FIELDS), "details": {}},
    ]
    write_files(tmp_path, NAME, reviews, families)
    raw = read(NAME, tmp_path, core=0)
    assert members(raw) == {"meat": set(), "alcohol": {"B01"}}
    assert list(raw.items.label) == ["B01", "B02"]


def test_nothing_left_is_an_error(tmp_path):
    write_files(tmp_path, NAME, [review("u", "B01", 1000)], [PLAIN])
    message = rf"{REVIEWS}: cleaning leaves no review \(read 1, complete 1, .*5-core 0\)"
    with pytest.raises(DataError, match=message):
        read(NAME, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("min_rating", 5.1), ("min_rating", -1), ("core", -1)])
def test_settings_have_bounds(name, value):
    with pytest.raises(ValidationError, match=rf"{name}\n\s+Input should be"):
        DATASETS.get(NAME).Settings(**{name: value})


BAD_LINES = ['{"user_id": "u", ', "[1, 2]", "user_id,asin", '{"user_id": "u\x00"', "NaN"]


@pytest.mark.parametrize("line", BAD_LINES)
@pytest.mark.parametrize("file", [REVIEWS, META])
def test_a_bad_line_is_named_or_skipped_and_counted(tmp_path, caplog, file, line):
    files = {REVIEWS: [review("u", "B01", 1000)], META: [PLAIN]}
    files[file] = [*files[file], line]
    write_files(tmp_path, NAME, files[REVIEWS], files[META])
    with pytest.raises(DataError, match=rf"^{file}, line 2: not a JSON object; .*skip_bad$"):
        read(NAME, tmp_path, core=0)
    with caplog.at_level(logging.WARNING):
        raw = read(NAME, tmp_path, core=0, skip_bad=True)
    assert raw.counts == {"read": 1, "complete": 1, "rated": 1, "distinct": 1, "bad": 1}
    assert f"{file}: left out 1 bad lines" in caplog.text


def test_a_family_without_id_is_bad(tmp_path):
    write_files(tmp_path, NAME, [review("u", "B01", 1000)], [PLAIN, {"title": "Ham"}])
    with pytest.raises(DataError, match=rf"^{META}, line 2: parent_asin is missing"):
        read(NAME, tmp_path, core=0)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _not_text(path: Path) -> None:
    path.write_bytes(b'{"user_id": "\xff\xfe", "parent_asin": "\xff"}\n')


@pytest.mark.parametrize("file", [REVIEWS, META])
@pytest.mark.parametrize(
    ("ending", "damage", "message"),
    [
        (".jsonl.gz", _truncate, ""),
        (".jsonl", _empty, "has no rows"),
        (".jsonl", _not_text, "line 1: "),
    ],
    ids=["truncated", "empty", "not UTF-8"],
)
def test_a_damaged_file_is_named(
    tmp_path, file: str, ending: str, damage: Callable[[Path], None], message: str
):
    reviews = [review(f"user {n}", f"B{n * 7919}", n * 1000) for n in range(500)]
    families = [{"parent_asin": f"B{n}", "title": f"Tea {n * n}"} for n in range(500)]
    write_files(tmp_path, NAME, reviews, families, ending)
    damage(tmp_path / file.replace(".jsonl", ending))
    name = file.replace(".jsonl", ending).replace(".", r"\.")
    with pytest.raises(DataError, match=rf"^{name}.*{message}") as caught:
        read(NAME, tmp_path, core=0)
    assert "\n" not in str(caught.value)


def test_another_file_has_no_complete_row(tmp_path):
    # a file without the keys is no file of this format
    write_files(tmp_path, NAME, [{"userId": "u", "movieId": 1}], [PLAIN])
    with pytest.raises(DataError, match=rf"^{REVIEWS}: cleaning leaves no review .*complete 0"):
        read(NAME, tmp_path)
