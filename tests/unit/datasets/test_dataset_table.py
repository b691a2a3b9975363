"""A user's own files, described by settings alone."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from erase_ray.data.prepare import prepare
from erase_ray.datasets import DATASETS, Scratch
from erase_ray.datasets._fetch import raw_files
from erase_ray.errors import DataError, FetchError, SettingsError
from erase_ray.settings import checked
from erase_ray.tasks import TASKS

KIND = DATASETS.get("table")
INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "u2\t007\t5\t100.0\n"
    'u1\ta "b\t4\t300.5\n'
    "u1\t7\t2.5\t200\n"
    "u1\t7\t2.5\t200\n"
)
ITEM = (
    "item_id:token\tyear:float\ttitle:token_seq\tgenre:token_seq\n"
    "7\t1999\tGin, dry\tDrink Strong\n"
    "007\t1999\tBond\tFilm\n"
    "9\t1999\tNever taken\tDrink\n"
)
CLICKS = "visitor,visit,sku,at,stars\n" + "".join(
    f"{visitor},{visit},{sku},{at},{stars}\n"
    for visitor, visit, sku, at, stars in [
        ("ann", "s1", "x", 0, 5),
        ("ann", "s1", "y", 3600, 5),
        ("bob", "s2", "x", 50, 5),
        ("ann", "s3", "z", 7201, 1),
        ("ann", "s1", "w", 3600, 5),
    ]
)
COLUMNS = {"user": "visitor", "item": "sku", "time": "at"}


def build(**settings: Any):
    return KIND(checked(KIND.Settings, settings, "settings of 'table'"))


def read(folder: Path, files: dict[str, str | pd.DataFrame], **settings: Any):
    """Write the files, find them as a run does, and read them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pd.DataFrame):
            content.to_parquet(path)
        else:
            text = content.encode()
            path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    dataset = build(**settings)
    found = raw_files(KIND, folder / "cache", folder, dataset.own_files)
    return dataset.read(found, Scratch(folder / "scratch"))


def rows(raw) -> list[tuple]:
    """User, sequence, step, item, time; sorted."""
    columns = ["user", "sequence", "step", "item", "time"]
    return sorted(raw.frame()[columns].itertuples(index=False, name=None))


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"table: 'interactions' must name a file"),
        (
            {"interactions": "c.csv", "columns": COLUMNS | {"time": "When"}},
            r"c\.csv has no column 'When' \(columns\.time\); it has visitor, visit, sku, at, stars",
        ),
        ({"interactions": "c.csv"}, r"c\.csv: cf needs columns\.item; the file has visitor, "),
        ({"interactions": "c.csv", "columns": {"item": "sku"}}, r"cf needs columns\.user"),
        (
            {"interactions": "c.csv", "columns": {"item": "sku"}, "task": "session_based"},
            r"session_based needs columns\.user or columns\.session",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": {"item": "sku", "user": "visitor"},
                "task": "next_basket",
            },
            r"next_basket needs columns\.basket or columns\.time",
        ),
        (
            {"interactions": "c.csv", "columns": COLUMNS, "min_rating": 1},
            r"cf needs columns\.rating",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": {"item": "sku", "user": "visitor"},
                "task": "session_based",
                "session_gap_s": 9,
            },
            r"needs columns\.time",
        ),
        (
            {"interactions": "c.csv", "columns": COLUMNS, "separator": ";"},
            r"c\.csv has no column 'visitor' \(columns\.user\); it has visitor,visit,sku,at,stars",
        ),
        (
            {"interactions": "c.csv", "columns": COLUMNS | {"time": "sku"}},
            r"c\.csv, line 2: sku 'x' is no time in numbers \(4 more bad rows\)",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": COLUMNS,
                "categories": {"a": {"column": "k", "values": ["v"]}},
            },
            r"a category asks for column 'k', but 'items' names no file",
        ),
        (
            {"interactions": "c.csv", "columns": COLUMNS, "items": "i.tsv"},
            r"i\.tsv: item_columns\.item is not given; the file has sku, kind",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": COLUMNS,
                "items": "i.tsv",
                "item_columns": {"item": "sku", "label": "name"},
            },
            r"i\.tsv has no column 'name' \(item_columns\.label\); it has sku, kind",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": COLUMNS,
                "items": "i.tsv",
                "item_columns": {"item": "sku"},
                "categories": {"a": {"column": "k", "values": ["v"]}},
            },
            r"i\.tsv has no column 'k' \(categories\.a\.column\)",
        ),
        (
            {
                "interactions": "c.csv",
                "columns": COLUMNS,
                "items": "i.tsv",
                "item_columns": {"item": "sku"},
            },
            r"i\.tsv lists item 'x' more than once",
        ),
        (
            {"interactions": "c.dat", "columns": COLUMNS},
            r"c\.dat: '\.dat' is not one of \.csv, .*; say what is between the fields with 'sep",
        ),
        ({"interactions": "c.inter"}, r"c\.inter, line 1: 'visitor' has no type; the header of"),
        ({"interactions": "c.parquet"}, r"c\.parquet is no Parquet file: "),
    ],
)
def test_settings_that_do_not_fit_the_files(tmp_path, settings, message):
    text = CLICKS.replace(",", "\t")
    files = {"c.csv": CLICKS, "c.dat": CLICKS, "c.inter": text, "c.parquet": CLICKS}
    files["i.tsv"] = "sku\tkind\nx\ta\nx\tb\n"
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, files, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "films"}, "task: Input should be 'cf', 'session_based' or 'next_basket'"),
        ({"columns": {"usr": "a"}}, r"columns\.usr: Extra inputs are not permitted"),
        ({"categories": {"a": {}}}, "a category takes either file, or column and values"),
        ({"categories": {"a": {"file": "f", "column": "c", "values": ["v"]}}}, "takes either file"),
        ({"categories": {"a": {"column": "c"}}}, "takes either file, or column and values"),
        ({"separator": "||"}, "separator: String should have at most 1 character"),
        ({"min_baskets": 2}, "min_baskets: Input should be greater than or equal to 3"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(SettingsError, match=message):
        build(**settings)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", CLICKS + ",s9,x,1,5\n", r"c\.csv, line 7: visitor is empty"),
        ("c.csv", CLICKS + "eve,s9,x,inf,5\n", r"c\.csv, line 7: at 'inf' is no time in numbers"),
        ("c.csv", CLICKS + "eve,s9,x,1,nan\n", r"c\.csv, line 7: stars is not a finite number"),
        ("c.csv", CLICKS + "eve,s9,x\n", r"c\.csv, line 7: "),
        (
            "c.parquet",
            pd.DataFrame(
                {"visitor": ["a", None], "sku": ["b", "c"], "at": [1, 2], "stars": [5, 5]}
            ),
            r"c\.parquet, row 2: visitor is empty; mend",
        ),
        (
            "c.parquet",
            pd.DataFrame(
                {"visitor": list("abc"), "sku": list("ddd"), "at": ["1", "x", "y"]}
            ).assign(stars=[5, 5, 5]),
            r"c\.parquet, row 2: at 'x' is no time in numbers \(1 more bad rows\); mend",
        ),
        (
            "c.parquet",
            pd.DataFrame(
                {"visitor": ["a", "b"], "sku": ["d", "d"], "at": [1, 1], "stars": [5, float("inf")]}
            ),
            r"c\.parquet, row 2: stars 'inf' is not a finite number",
        ),
    ],
)
def test_bad_rows(tmp_path, name, content, message):
    settings: dict[str, Any] = {
        "interactions": name,
        "columns": COLUMNS | {"rating": "stars"},
        "min_rating": 1,
    }
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, {name: content}, **settings)
    assert "\n" not in str(caught.value)
    raw = read(tmp_path, {name: content}, **settings, skip_bad=True)
    assert raw.counts["bad"] >= 1
    assert raw.counts["read"] == len(raw)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", "visitor,sku,at\n", "c.csv has no rows"),
        ("c.csv", "", "c.csv is empty; expected a header line"),
        ("c.parquet", pd.DataFrame({"visitor": [], "sku": [], "at": []}), "c.parquet has no rows"),
    ],
)
def test_no_rows(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, {name: content}, interactions=name, columns=COLUMNS)


def test_a_file_that_is_not_there(tmp_path):
    message = r"table lacks 1 of its raw files in .*: no/c\.csv\. Give the folder that holds them"
    with pytest.raises(FetchError, match=message):
        read(tmp_path, {}, interactions="no/c.csv", columns=COLUMNS)
    message = r"table: interactions 'no/c\.csv' is not in the folder of raw files and not in /"
    with pytest.raises(DataError, match=message):
        build(interactions="no/c.csv", columns=COLUMNS).read({}, Scratch(tmp_path))


def test_files_are_looked_for_in_the_working_directory_too(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "raw").mkdir()
    for folder in ("work", "raw"):
        (tmp_path / folder / "c.csv").write_text(CLICKS)
    (tmp_path / "work" / "list.txt").write_text("x\n")
    monkeypatch.chdir(tmp_path / "work")
    kinds = {"secret": {"file": "list.txt"}, "more": {"file": str(tmp_path / "work" / "list.txt")}}
    dataset = build(interactions="c.csv", columns=COLUMNS, categories=kinds)
    found = raw_files(KIND, tmp_path / "cache", tmp_path / "raw", dataset.own_files)
    assert found["c.csv"] == tmp_path / "raw" / "c.csv"
    assert found["list.txt"].resolve() == tmp_path / "work" / "list.txt"
    raw = dataset.read(found, Scratch(tmp_path / "scratch"))
    assert raw.categories == {"secret": {"x"}, "more": {"x"}}
    assert len(dataset.read({}, Scratch(tmp_path / "scratch"))) == len(raw)


def test_the_example_of_the_documentation(tmp_path):
    assert KIND.__doc__
    example = KIND.__doc__.split("In a grid::")[1].split("\n    or,")[0]
    settings = yaml.safe_load(example)["datasets"]["table"]
    clicks = pd.DataFrame(
        {
            "visitor": ["v", "v"],
            "visit": [1, 1],
            "sku": ["001", "002"],
            "clicked_at": ["2024-02-29 10:00:00", "2024-02-29 10:00:01"],
        }
    )
    products = pd.DataFrame({"sku": ["001"], "title": ["Ale"], "department": ["beer"]})
    files = {
        "clicks.csv.gz": clicks.to_csv(index=False),
        "products.parquet": products,
        "lists/private.txt": "002\n",
    }
    raw = read(tmp_path, files, **settings)
    assert [row[2:] for row in rows(raw)] == [(0, "001", 1_709_200_800), (1, "002", 1_709_200_801)]
    assert raw.categories == {"alcohol": {"001"}, "private": {"002"}}
    assert raw.labels == {"001": "Ale", "002": "002"}
