"""Tables of one's own: what is wrong with them, and where files are looked for."""

from typing import Any

import pandas as pd
import pytest
import yaml
from table_files import CLICKS, COLUMNS, KIND, build, read, rows

from erase_ray.datasets import Scratch
from erase_ray.datasets._fetch import raw_files
from erase_ray.errors import DataError, FetchError, SettingsError


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
