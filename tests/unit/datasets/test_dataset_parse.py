"""Raw text files to columns: every fault has its line, nothing is lost in silence."""

import gzip
import logging
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from erase_ray.datasets import Scratch
from erase_ray.datasets._delimited import parse_delimited
from erase_ray.datasets._json_lines import parse_json_lines
from erase_ray.datasets._load import load
from erase_ray.datasets._parse import Column
from erase_ray.errors import DataError

COLUMNS = (
    Column("userId", "text", "user"),
    Column("movieId", "text", "item"),
    Column("rating", "number"),
    Column("timestamp", "time", "time"),
)
HEADER, GOOD = "userId,movieId,rating,timestamp\n", "01,2,3.5,2005-04-02 23:53:47\n"
GOOD_ROW = {"user": "01", "item": "2", "rating": 3.5, "time": 1112486027}

KEYS = (
    Column("a", "text"),
    Column("t", "integer", "time"),
    Column("tags", ["VARCHAR"], required=False),
)
OBJECT = '{"a": "007", "t": 5, "tags": ["k", "ü"], "other": {"x": 1}}\n'


@pytest.fixture
def scratch(tmp_path) -> Scratch:
    return Scratch(tmp_path / "scratch")


@pytest.fixture
def write(tmp_path):
    def written(text: str | bytes, name: str = "rating.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def rows(parsed) -> list[dict]:
    return pq.read_table(parsed.path).to_pylist()


def test_table(write, scratch):
    text = HEADER + GOOD + '"7","a, ""b"" é",1e0,1970-01-01 00:00:01\n'
    parsed = parse_delimited(write(text), COLUMNS, scratch)
    other = {"user": "7", "item": 'a, "b" é', "rating": 1.0, "time": 1}
    assert rows(parsed) == [GOOD_ROW, other]
    assert (parsed.num_rows, parsed.bad) == (2, {})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("crlf.csv", (HEADER + GOOD).replace("\n", "\r\n").encode()),
        ("no_newline.csv", (HEADER + GOOD).strip().encode()),
        ("zipped.csv.gz", gzip.compress((HEADER + GOOD).encode(), mtime=0)),
        ("bom.csv", b"\xef\xbb\xbf" + (HEADER + GOOD).encode()),
        ("more.csv", b"x,timestamp,rating,movieId,userId\n9,2005-04-02 23:53:47,3.5,2,01\n"),
    ],
)
def test_forms_of_the_same_table(write, scratch, name, content):
    assert rows(parse_delimited(write(content, name), COLUMNS, scratch)) == [GOOD_ROW]


def test_other_separators_and_quotes(write, scratch):
    columns = (Column("user", "text"), Column("title", "text"))
    path = write("1\t'a\tb'\n2\t\"c\n", "x.tsv")
    parsed = parse_delimited(
        path, columns, scratch, separator="\t", quote="'", header=("user", "title")
    )
    assert rows(parsed) == [{"user": "1", "title": "a\tb"}, {"user": "2", "title": '"c'}]


BAD_LINES = [
    ("1,2,x,2005-04-02 23:53:47\n", 'converting column "rating"', "not readable"),
    ("1,2,3,2005-13-02 23:53:47\n", 'converting column "timestamp"', "not readable"),
    ("1,2,3\n", "Expected Number of Columns: 4 Found: 3", "wrong number of fields"),
    (
        "1,2,3,2005-04-02 23:53:47,9\n",
        "Expected Number of Columns: 4 Found: 5",
        "wrong number of fields",
    ),
    ("1,2,nan,2005-04-02 23:53:47\n", "rating is not a finite number", None),
    (",2,3,2005-04-02 23:53:47\n", "userId is empty", None),
    ("1,2,3,\n", "timestamp is empty", None),
    (HEADER, 'converting column "rating"', "not readable"),
]


@pytest.mark.parametrize(("line", "reason", "kind"), BAD_LINES)
def test_bad_line_of_a_table(write, scratch, caplog, line, reason, kind):
    path = write(HEADER + GOOD + GOOD + line + GOOD)
    with pytest.raises(DataError, match=f"rating.csv, line 4: .*{reason}") as caught:
        parse_delimited(path, COLUMNS, scratch)
    assert "\n" not in str(caught.value)
    with caplog.at_level(logging.WARNING):
        parsed = parse_delimited(path, COLUMNS, scratch, skip_bad=True)
    assert rows(parsed) == [GOOD_ROW] * 3
    assert parsed.bad == {kind or reason: 1}
    assert "rating.csv: left out 1 bad lines" in caplog.text


def test_a_header_that_is_there_again_among_texts(write, scratch):
    columns = (Column("userId", "text"), Column("movieId", "text"))
    path = write("userId,movieId\n1,2\nuserId,movieId\n")
    with pytest.raises(DataError, match=r"rating.csv, line 3: the line is the header again"):
        parse_delimited(path, columns, scratch)


def test_bytes_that_are_no_text(write, scratch):
    path = write((HEADER + GOOD).encode() + b"1,\xff,3,2005-04-02 23:53:47\n")
    with pytest.raises(DataError, match=r"rating.csv, line 3: .*not utf-8"):
        parse_delimited(path, COLUMNS, scratch)
    assert rows(parse_delimited(path, COLUMNS, scratch, skip_bad=True)) == [GOOD_ROW]


def test_all_faults_are_counted_and_lines_are_right(write, scratch):
    text = HEADER + GOOD + "".join(line for line, _, _ in BAD_LINES) + GOOD
    path = write(text)
    with pytest.raises(DataError, match=r"line 3: .* \(7 more bad lines\); mend the file, or"):
        parse_delimited(path, COLUMNS, scratch)
    parsed = parse_delimited(path, COLUMNS, scratch, skip_bad=True)
    assert parsed.num_rows + parsed.num_bad == text.count("\n") - 1
    # rows that were read but do not count come after lines that could not be read
    path = write(HEADER + "1,2\n" + GOOD + "1,2,nan,2005-04-02 23:53:47\n", "late.csv")
    with pytest.raises(DataError, match=r"late.csv, line 2"):
        parse_delimited(path, COLUMNS, scratch)
    path = write(HEADER + GOOD + "1,2,nan,2005-04-02 23:53:47\n1,2\n", "early.csv")
    with pytest.raises(DataError, match=r"early.csv, line 3: rating is not"):
        parse_delimited(path, COLUMNS, scratch)


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "rating.csv is empty; expected a header line"),
        (HEADER, "rating.csv has no rows"),
        (
            "userId,movieId,rating\n1,2,3\n",
            "rating.csv, line 1: the header lacks timestamp; it has userId, movieId, rating$",
        ),
        (
            (HEADER + GOOD).replace(",", ";"),
            "are the fields separated by ';', not ','[?]",
        ),
    ],
)
def test_files_that_cannot_be_read_at_all(write, scratch, content, text, skip_bad):
    with pytest.raises(DataError, match=text):
        parse_delimited(write(content), COLUMNS, scratch, skip_bad=skip_bad)


@pytest.mark.parametrize("is_zipped", [False, True])
def test_a_quote_that_is_not_closed_costs_its_line_only(write, scratch, is_zipped):
    text = (HEADER + GOOD + '1,"2,3,2005-04-02 23:53:47\n' + GOOD + "1,2\n" + GOOD).encode()
    path = write(gzip.compress(text, mtime=0), "x.csv.gz") if is_zipped else write(text, "x.csv")
    with pytest.raises(DataError, match=r"x.csv.*, line 3: a quote is opened and not closed"):
        parse_delimited(path, COLUMNS, scratch)
    parsed = parse_delimited(path, COLUMNS, scratch, skip_bad=True)
    assert rows(parsed) == [GOOD_ROW] * 3
    assert parsed.bad == {"badly quoted": 1, "wrong number of fields": 1}


def test_nothing_but_bad_lines(write, scratch):
    with pytest.raises(DataError, match=r"rating.csv has no good rows"):
        parse_delimited(write(HEADER + "1,2\n"), COLUMNS, scratch, skip_bad=True)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz"])
def test_truncated_gzip(write, scratch, name):
    is_json = "json" in name
    lines = [OBJECT, GOOD][not is_json] * 50_000
    whole = gzip.compress(((HEADER if not is_json else "") + lines).encode(), mtime=0)
    path = write(whole[: len(whole) // 2], name)
    parse, columns = (parse_json_lines, KEYS) if is_json else (parse_delimited, COLUMNS)
    with pytest.raises(DataError, match=f"{name}.*nexpected end of GZIP stream"):
        parse(path, columns, scratch, skip_bad=True)
    assert not list((scratch.folder / "columns").iterdir())


def test_json_lines(write, scratch):
    text = OBJECT + '\n{"t": 6, "a": "x"}\r\n' + '{"a": 7, "t": "8", "tags": null}'
    found = rows(parse_json_lines(write(text, "x.jsonl"), KEYS, scratch))
    assert [(row["a"], row["time"], row["tags"]) for row in found] == [
        ("007", 5, ["k", "ü"]),
        ("x", 6, None),
        ("7", 8, None),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": "z", "t": 3\n', "not a JSON object"),
        ("text\n", "not a JSON object"),
        ("[1]\n", "not a JSON object"),
        ('{"t": 3}\n', "a is missing or of another kind"),
        ('{"a": "", "t": 3}\n', "a is empty"),
        ('{"a": "z", "t": "x"}\n', "t is missing or of another kind"),
        ('{"a": "z", "t": null}\n', "t is missing or of another kind"),
        ('{"a": "z", "t": NaN}\n', ""),
    ],
)
def test_bad_line_of_json(write, scratch, line, reason):
    path = write(OBJECT + "\n" + line + OBJECT, "x.jsonl")
    with pytest.raises(DataError, match=f"x.jsonl, line 3: {reason}"):
        parse_json_lines(path, KEYS, scratch)
    parsed = parse_json_lines(path, KEYS, scratch, skip_bad=True)
    assert [row["a"] for row in rows(parsed)] == ["007", "007"]
    assert parsed.num_bad == 1


def test_json_that_is_not_utf8(write, scratch):
    path = write(OBJECT.encode() + b'{"a": "\xff", "t": 1}\n', "x.jsonl")
    with pytest.raises(DataError, match=r"x.jsonl, line 2: .*not utf-8"):
        parse_json_lines(path, KEYS, scratch)


def test_columns_are_kept_by_content(write, scratch):
    first = parse_delimited(write(HEADER + GOOD), COLUMNS, scratch)
    stamp = first.path.stat().st_mtime_ns
    again = parse_delimited(write(HEADER + GOOD, "copy.csv"), COLUMNS, scratch)
    assert again == first
    assert again.path.stat().st_mtime_ns == stamp
    other = parse_delimited(write(HEADER + GOOD + GOOD), COLUMNS, scratch)
    fewer = parse_delimited(write(HEADER + GOOD), COLUMNS[:2], scratch)
    assert len({first.path, other.path, fewer.path}) == 3
    names = [path.suffix for path in first.path.parent.iterdir()]
    assert sorted(names) == [".json"] * 3 + [".parquet"] * 3


def test_columns_in_memory(write, scratch):
    text = HEADER + GOOD + "1,2,3,1970-01-01 00:00:00\n"
    columns = load(
        parse_delimited(write(text), COLUMNS, scratch), ("user", "item"), ("time", "rating")
    )
    assert columns["user"].texts() == ["01", "1"]
    assert columns["item"].texts() == ["2", "2"]
    assert columns["time"].tolist() == [1112486027, 0]
    assert columns["rating"].tolist() == [3.5, 3.0]


def test_missing_values_must_be_dropped_before_they_are_loaded(write, scratch):
    path = write('{"a": "x", "t": 1}\n{"t": 2}\n', "x.jsonl")
    parsed = parse_json_lines(path, (Column("a", "text", required=False),), scratch)
    with pytest.raises(ValueError, match=r"column a of .* has 1 nulls"):
        load(parsed, ("a",))
