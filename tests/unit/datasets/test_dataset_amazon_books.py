"""Amazon books from small made-up files: sessions and signals."""

import logging

import pytest
from amazon_files import members, read, review, rows, write_files

from erase_ray.datasets import DATASETS
from erase_ray.errors import DataError

NAME = "amazon_books"
PLAIN = {"parent_asin": "0001", "title": "A Garden"}
HOUR_MS = 3_600_000


def test_a_pause_of_more_than_an_hour_begins_a_session(tmp_path):
    pauses_ms = (0, HOUR_MS, HOUR_MS + 1, 5, HOUR_MS + 1000, 2 * HOUR_MS)
    times_ms = [sum(pauses_ms[: n + 1]) for n in range(len(pauses_ms))]
    reviews = [review("u", f"000{n}", time_ms) for n, time_ms in enumerate(times_ms)]
    write_files(tmp_path, NAME, reviews[::-1], [PLAIN])
    assert rows(read(NAME, tmp_path, core=0)) == [
        ("u_session_0", 0, "0000", 0),
        ("u_session_0", 1, "0001", 3600),
        ("u_session_1", 0, "0002", 7200),
        ("u_session_1", 1, "0003", 7200),
        ("u_session_2", 0, "0004", 10801),
        ("u_session_3", 0, "0005", 18001),
    ]


def test_sessions_are_cut_after_cleaning(tmp_path):
    # what goes from the middle of a session leaves a longer pause
    reviews = [
        review("u", "0001", 0),
        review("u", "0002", HOUR_MS, 1.0),
        review("u", "0001", 2 * HOUR_MS),
        review("v", "0001", 3 * HOUR_MS),
    ]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    assert rows(read(NAME, tmp_path, core=0)) == [
        ("u_session_0", 0, "0001", 0),
        ("u_session_1", 0, "0001", 7200),
        ("v_session_0", 0, "0001", 10800),
    ]


def test_all_of_a_user_can_be_one_sequence(tmp_path):
    reviews = [review("u", "0001", 0), review("u", "0002", 9 * HOUR_MS), review("v", "0001", 1)]
    write_files(tmp_path, NAME, reviews, [PLAIN])
    assert rows(read(NAME, tmp_path, core=0, sequence="user")) == [
        ("u", 0, "0001", 0),
        ("u", 1, "0002", 32400),
        ("v", 0, "0001", 0),
    ]


def test_defaults():
    settings = DATASETS.get(NAME).Settings()
    assert (settings.min_rating, settings.core, settings.sequence) == (3.0, 5, "session")


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ({"title": "Depression, anxiety and therapy"}, set()),
        ({"title": "Depression", "description": ["of trauma"]}, {"health"}),
        ({"title": "On THERAPY", "categories": ["Books", "Grief"]}, set()),
        ({"title": "On THERAPY", "categories": ["Books", "Anxiety"]}, {"health"}),
        ({"features": ["ptsd"], "details": {"About": "suicide"}}, set()),
        ({"features": ["ptsd"], "categories": ["Suicide"]}, {"health"}),
        ({"description": ["self-harm"], "details": {"Subject": "PTSD"}}, {"health"}),
        ({"description": ["self", "harm"], "details": {"Subject": "PTSD"}}, set()),
        ({"description": ["grief"], "details": {"Trauma": "none"}}, set()),
        ({"title": "War", "description": ["He killed"]}, {"violence"}),
        ({"title": "Edward", "description": ["The warden of Warsaw"]}, set()),
        ({"title": "Begun", "store": "Murder Press", "subtitle": "War"}, set()),
        ({"title": "Well begun", "description": ["Skills"]}, {"violence"}),
        ({"title": "Essex"}, set()),
        ({"details": {"Rank": {"Erotic": 3}}}, {"explicit"}),
        ({"categories": ["Adult"]}, set()),
        ({"title": "Young Adult"}, {"explicit"}),
    ],
    ids=str,
)
def test_signals(tmp_path, family, expected):
    families = [{"parent_asin": "0001", **family}]
    write_files(tmp_path, NAME, [review("u", "0001", 1000)], families)
    raw = read(NAME, tmp_path, core=0)
    assert {name for name, items in members(raw).items() if items} == expected


def test_editions_of_a_work(tmp_path):
    reviews = [
        review("u", "0061120081", 1000, parent_asin="B000"),
        review("u", "61120081", 2000),
        review("u", "006112008X", 3000, parent_asin="B000"),
    ]
    families = [{"parent_asin": "B000", "title": "War", "description": ["of blood"]}]
    write_files(tmp_path, NAME, reviews, families)
    raw = read(NAME, tmp_path, core=0)
    assert members(raw)["violence"] == {"0061120081", "006112008X"}
    assert set(raw.items.outer) == {"0061120081", "006112008X"}


def test_bad_lines_of_both_files_are_counted_together(tmp_path, caplog):
    reviews = [review("u", "0001", 1000), "{", "x"]
    write_files(tmp_path, NAME, reviews, [PLAIN, '{"parent_asin": ""}'])
    message = r"^Books.jsonl, line 2: not a JSON object \(1 more bad lines\)"
    with pytest.raises(DataError, match=message):
        read(NAME, tmp_path, core=0)
    with caplog.at_level(logging.WARNING):
        raw = read(NAME, tmp_path, core=0, skip_bad=True)
    assert raw.counts["bad"] == 3
    assert "meta_Books.jsonl: left out 1 bad lines" in caplog.text
