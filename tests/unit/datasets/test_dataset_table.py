"""Tables of one's own: what the reader makes of them."""

from typing import Any

import pandas as pd
import pytest
from table_files import CLICKS, COLUMNS, INTER, ITEM, build, read, rows

from erase_ray.data.prepare import prepare
from erase_ray.errors import DataError
from erase_ray.tasks import TASKS


def test_recbole_files_need_no_columns(tmp_path):
    files = {"d.inter": INTER, "d.item": ITEM}
    kinds = {"drink": {"column": "genre", "values": ["Drink"]}}
    raw = read(tmp_path, files, interactions="d.inter", items="d.item", categories=kinds)
    assert rows(raw) == [
        ("u1", "u1", 0, "7", 200),
        ("u1", "u1", 1, 'a "b', 300),
        ("u2", "u2", 0, "007", 100),
    ]
    assert raw.counts == {"read": 4, "distinct": 3}
    assert raw.labels == {"7": "Gin, dry", "007": "Bond", "9": "Never taken", 'a "b': 'a "b'}
    assert raw.categories == {"drink": {"7", "9"}}


def test_low_ratings_go_first(tmp_path):
    raw = read(tmp_path, {"d.inter": INTER}, interactions="d.inter", min_rating=4)
    assert [row[3] for row in rows(raw)] == ['a "b', "007"]
    assert raw.counts == {"read": 4, "rated": 2, "distinct": 2}


def test_a_rating_that_is_not_needed_may_be_missing(tmp_path):
    text = INTER.replace("\t5\t", "\t\t")
    assert len(read(tmp_path, {"d.inter": text}, interactions="d.inter")) == 3


def test_columns_of_a_csv_file(tmp_path):
    raw = read(tmp_path, {"c.csv.gz": CLICKS}, interactions="c.csv.gz", columns=COLUMNS)
    # y and w have one time and keep their order
    assert [row[2:] for row in rows(raw)[:4]] == [
        (0, "x", 0),
        (1, "y", 3600),
        (2, "w", 3600),
        (3, "z", 7201),
    ]
    assert raw.labels == {name: name for name in "wxyz"}


@pytest.mark.parametrize(
    ("settings", "sequences"),
    [
        ({"columns": COLUMNS | {"session": "visit"}}, {"s1": "xyw", "s2": "x", "s3": "z"}),
        ({"columns": COLUMNS}, {"ann": "xywz", "bob": "x"}),
        (
            {"columns": COLUMNS, "session_gap_s": 3600},
            {"ann_session_0": "xyw", "ann_session_1": "z", "bob_session_0": "x"},
        ),
        (
            {"columns": COLUMNS, "session_gap_s": 3601},
            {"ann_session_0": "xywz", "bob_session_0": "x"},
        ),
        (
            {"columns": COLUMNS | {"session": "visit"}, "sessions_per_user": True},
            {"ann/s1": "xyw", "ann/s3": "z", "bob/s2": "x"},
        ),
        (
            {"columns": {"session": "visit", "item": "sku"}},
            {"s1": "xyw", "s2": "x", "s3": "z"},
        ),
    ],
)
def test_what_a_session_is(tmp_path, settings, sequences):
    raw = read(tmp_path, {"c.csv": CLICKS}, task="session_based", interactions="c.csv", **settings)
    found: dict[str, str] = {}
    for _, sequence, step, item, _ in rows(raw):
        assert step == len(found.get(sequence, ""))
        found[sequence] = found.get(sequence, "") + item
    assert found == sequences


def test_a_session_of_two_users_is_an_error_of_preparation(tmp_path):
    text = CLICKS.replace("bob,s2", "bob,s1")
    settings: dict[str, Any] = {"task": "session_based", "interactions": "c.csv"}
    settings["columns"] = COLUMNS | {"session": "visit"}
    raw = read(tmp_path, {"c.csv": text}, **settings)
    split = TASKS.get("session_based")().split
    with pytest.raises(DataError, match=r"sequence 's1' .* belongs to two users"):
        prepare(build(**settings), raw, split)
    raw = read(tmp_path, {"c.csv": text}, **settings, sessions_per_user=True)
    assert prepare(build(**settings), raw, split).interactions.num_sequences == 3


BOUGHT = pd.DataFrame(
    {
        "who": [1, 1, 1, 1, 1, 2, 2, 2],
        "basket": [10, 2, 2, 2, 3, 1, 2, 3],
        "what": [5, 5, 6, 6, 7, 5, 5, 5],
        "when": pd.to_datetime(["2024-01-03"] * 5 + ["2024-01-01", "2024-01-01", "2024-01-02"]),
    }
)
BASKET = {"user": "who", "item": "what", "basket": "basket"}


def test_baskets_of_a_parquet_file_in_the_order_of_their_numbers(tmp_path):
    settings = {"task": "next_basket", "interactions": "b.parquet"}
    raw = read(tmp_path, {"b.parquet": BOUGHT}, **settings, columns=BASKET)
    assert [(row[0], *row[2:4]) for row in rows(raw)] == [
        ("1", 0, "5"),
        ("1", 0, "6"),
        ("1", 1, "7"),
        ("1", 2, "5"),
        ("2", 0, "5"),
        ("2", 1, "5"),
        ("2", 2, "5"),
    ]
    assert raw.counts == {"read": 8, "distinct": 7, "regular": 7, "common": 7, "left": 7}
    raw = read(tmp_path, {"b.parquet": BOUGHT}, **settings, columns=BASKET, min_item_count=3)
    assert {row[0] for row in rows(raw)} == {"2"}


def test_baskets_with_a_time_are_in_its_order(tmp_path):
    late_first = BOUGHT.assign(when=BOUGHT["when"] - pd.to_timedelta(BOUGHT["basket"], "h"))
    columns = BASKET | {"time": "when"}
    settings: dict[str, Any] = {"task": "next_basket", "interactions": "b.parquet"}
    raw = read(tmp_path, {"b.parquet": late_first}, **settings, columns=columns)
    first = [(step, item) for user, _, step, item, _ in rows(raw) if user == "1"]
    assert first == [(0, "5"), (1, "7"), (2, "5"), (2, "6")]
    assert min(row[4] for row in rows(raw)) == 1_704_067_200 - 2 * 3600


@pytest.mark.parametrize(("by", "users"), [("day", []), ("time", ["2"])])
def test_baskets_by_day_or_time(tmp_path, by, users):
    moved = BOUGHT.assign(when=BOUGHT["when"] + pd.to_timedelta(BOUGHT["basket"] % 10, "min"))
    settings: dict[str, Any] = {
        "task": "next_basket",
        "interactions": "b.parquet",
        "columns": {"user": "who", "item": "what", "time": "when"},
        "basket_by": by,
    }
    files = {"b.parquet": moved[moved["who"] == 2]}
    if not users:
        with pytest.raises(DataError, match=r"b\.parquet: the filters leave no row"):
            read(tmp_path, files, **settings)
    else:
        assert [row[2] for row in rows(read(tmp_path, files, **settings))] == [0, 1, 2]


@pytest.mark.parametrize(
    ("unit", "value", "seconds"),
    [
        ("s", 1_700_000_000, 1_700_000_000),
        ("ms", 1_700_000_000_999, 1_700_000_000),
        ("us", 1_700_000_000_999_999, 1_700_000_000),
        ("ns", 1_700_000_000_999_999_999, 1_700_000_000),
        ("day", 2.5, 216_000),
    ],
)
@pytest.mark.parametrize("is_parquet", [True, False])
def test_units_of_time(tmp_path, unit, value, seconds, is_parquet):
    table = pd.DataFrame({"u": ["a"], "i": ["b"], "t": [value]})
    content = table if is_parquet else table.to_csv(index=False)
    name = "t.parquet" if is_parquet else "t.csv"
    columns = {"user": "u", "item": "i", "time": "t"}
    raw = read(tmp_path, {name: content}, interactions=name, columns=columns, time_unit=unit)
    assert raw.time.tolist() == [seconds]


def test_times_as_texts(tmp_path):
    text = "u;i;t\na;b;1.2.1970 10:00\n"
    columns = {"user": "u", "item": "i", "time": "t"}
    settings = {"interactions": "t.csv", "columns": columns, "separator": ";"}
    raw = read(tmp_path, {"t.csv": text}, **settings, time_format="%d.%m.%Y %H:%M")
    assert raw.time.tolist() == [31 * 86_400 + 36_000]
    message = r"t\.csv, line 2: t '1\.2\.1970 10:00' is no time of the form %Y-%m-%d; mend"
    with pytest.raises(DataError, match=message):
        read(tmp_path, {"t.csv": text}, **settings, time_format="%Y-%m-%d")


def test_filters_of_rows(tmp_path):
    text = "u,i\na,x\na,y\nb,x\nb,y\nc,x\nc,z\nd,x\n"
    settings: dict[str, Any] = {"interactions": "t.csv", "columns": {"user": "u", "item": "i"}}
    raw = read(tmp_path, {"t.csv": text}, **settings, core=2)
    assert {row[0] + row[3] for row in rows(raw)} == {"ax", "ay", "bx", "by"}
    assert raw.counts == {"read": 7, "distinct": 7, "2-core": 4}
    raw = read(tmp_path, {"t.csv": text}, **settings, min_item_count=2, min_sequence_length=2)
    assert raw.counts == {"read": 7, "distinct": 7, "common": 6, "long": 4}


def test_private_lists(tmp_path, caplog):
    files = {"c.csv": CLICKS, "lists/secret.txt": "\ufeffx\n\n z \nx\nold1\nold2\nold3\n"}
    kinds = {"secret": {"file": "lists/secret.txt"}}
    raw = read(
        tmp_path, files, interactions="c.csv", columns=COLUMNS, categories=kinds, min_rating=0
    )
    assert raw.categories == {"secret": {"x", "z"}}
    assert (
        "secret.txt: 3 of the 5 listed ids are no items of the data, such as 'old1'" in caplog.text
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n2\n", "none of the 2 listed ids is an item of the data, such as '1'"),
        ("\n \n", "lists no item; expected one item id a line"),
    ],
)
def test_a_list_of_other_ids(tmp_path, content, message):
    files = {"c.csv": CLICKS, "l.txt": content}
    kinds = {"secret": {"file": "l.txt"}}
    with pytest.raises(DataError, match=rf"l\.txt:? {message}"):
        read(tmp_path, files, interactions="c.csv", columns=COLUMNS, categories=kinds)


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe")
    kinds = {"secret": {"file": "l.txt"}}
    with pytest.raises(DataError, match=r"l\.txt cannot be read as a list of item ids"):
        read(tmp_path, {"c.csv": CLICKS}, interactions="c.csv", columns=COLUMNS, categories=kinds)


def test_values_of_a_column_with_a_separator(tmp_path):
    items = pd.DataFrame({"sku": ["x", "y", "q"], "kind": ["War|Film", None, "Warm"]})
    settings: dict[str, Any] = {
        "interactions": "c.csv",
        "columns": COLUMNS,
        "items": "i.parquet",
        "item_columns": {"item": "sku"},
    }
    files = {"c.csv": CLICKS, "i.parquet": items}
    for separator, expected in (("|", {"x"}), ("", set())):
        kinds = {"war": {"column": "kind", "values": ["War"], "separator": separator}}
        assert read(tmp_path, files, **settings, categories=kinds).categories == {"war": expected}
    kinds = {"war": {"column": "kind", "values": ["War|Film"]}}
    assert read(tmp_path, files, **settings, categories=kinds).categories == {"war": {"x"}}
