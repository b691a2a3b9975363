import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from fake_report_store import FakeStore
from PIL import Image
from report_toys import evidence_of

from erase_ray.errors import SettingsError
from erase_ray.report.look import look_of, palette
from erase_ray.report.page import write
from erase_ray.report.pictures import png_file, svg_file
from erase_ray.report.svg import drawing, line, marker, text
from erase_ray.report.table_files import FORMATS, parse_formats, table_file

FRAME = pd.DataFrame(
    {
        "name": pd.array(["a_b", "50 % | x", None], dtype="string"),
        "value": [0.123456, np.nan, 2.0],
        "count": pd.array([1, None, 3], dtype="Int64"),
        "cells": ["k", "k", "k"],
    }
)


def drawn() -> str:
    parts = [
        line(0, 0, 100, 50, "line s0"),
        marker(0, 50, 25, "mark s1"),
        text(10, 40, "a < b", class_="ink"),
    ]
    return str(drawing("one", (100, 50), "A title", "What it shows", *parts))


def test_parquet_keeps_types_and_missing_values():
    again = pd.read_parquet(io.BytesIO(table_file(FRAME, "parquet")))
    pd.testing.assert_frame_equal(again, FRAME)


def test_csv_holds_all_digits():
    again = pd.read_csv(io.BytesIO(table_file(FRAME, "csv")))
    assert again["value"].tolist()[0] == 0.123456
    assert list(again) == list(FRAME)


def test_markdown_escapes_and_leaves_keys_out():
    assert table_file(FRAME, "markdown").decode().splitlines() == [
        "| name | value | count |",
        "| --- | --- | --- |",
        "| a_b | 0.1235 | 1 |",
        "| 50 % \\| x |  |  |",
        "|  | 2 | 3 |",
    ]


def test_latex_escapes():
    text = table_file(FRAME, "latex").decode()
    assert r"a\_b & 0.1235 & 1 \\" in text
    assert r"50 \% | x &  &  \\" in text
    assert text.startswith("\\begin{tabular}{lll}\n\\toprule\nname & value & count \\\\\n")


@pytest.mark.parametrize(
    ("given", "found"), [("csv,html", ("html", "csv")), ("all", FORMATS), (" png ", ("png",))]
)
def test_formats_are_parsed(given, found):
    assert parse_formats(given) == found


@pytest.mark.parametrize(
    ("given", "text"), [("pdf", "no format is called 'pdf'"), (",", "--format names no format")]
)
def test_unknown_formats(given, text):
    with pytest.raises(SettingsError, match=rf"{text}\. Known: all, html, parquet"):
        parse_formats(given)


def test_svg_files_stand_alone_with_their_colours():
    data = svg_file(drawn()).decode()
    root = ElementTree.fromstring(data)
    assert (root.get("width"), root.get("height")) == ("100", "50")
    assert "var(" not in data
    assert palette()["--s0"] in data


def test_png_files_show_the_same_colours_and_are_the_same_each_time():
    data = png_file(drawn())
    assert data == png_file(drawn())
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert picture.size == (150, 75)  # 1.5 pixels a unit
    wanted = tuple(int(palette()["--s1"][at : at + 2], 16) for at in (1, 3, 5))
    assert picture.getpixel((75, 37)) == wanted  # in the middle of the circle
    assert picture.getpixel((140, 5)) == (255, 255, 255)


def test_looks_come_from_the_style_sheet():
    assert look_of("circle", "mark s0")["fill"] == palette()["--s0"]
    assert look_of("text", "tick")["fill"] == palette()["--muted"]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def schemes() -> list[dict[str, str]]:
    from importlib.resources import files

    css = (files("erase_ray.report") / "templates" / "report.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", css)
    return [dict(re.findall(r"(--[\w-]+): (#\w{6})", block)) for block in blocks]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_texts_can_be_read_in_both_schemes(scheme):
    words = ["--ink", "--muted", "--accent", "--warn", *(f"--s{n}" for n in range(8))]
    for paper in ("--paper", "--card"):
        for name in words:
            assert contrast(scheme[name], scheme[paper]) >= 4.5, (name, paper)
    for field in ("--same", *(f"--{kind}{n}" for kind in ("good", "bad") for n in (1, 2, 3))):
        assert contrast(scheme["--ink"], scheme[field]) >= 4.5, field
    assert contrast(scheme["--warn"], scheme["--warn-paper"]) >= 4.5


def test_all_files_are_written_and_linked(two_seeds, tmp_path):
    evidence = evidence_of(two_seeds, intervals=False)
    written = write(evidence, str(tmp_path), formats=FORMATS)
    tables = sorted(path.name for path in (tmp_path / "tables").iterdir())
    assert len(tables) == len(written.tables) == 4 * len(evidence.frames)
    assert {"leaderboard.parquet", "leaderboard.csv", "leaderboard.md", "leaderboard.tex"} <= {
        *tables
    }
    page = (tmp_path / "index.html").read_text()
    linked = re.findall(r'href="((?:tables|figures)/[^"]+)"', page)
    assert linked
    assert [name for name in linked if not (tmp_path / name).is_file()] == []
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {f"figures/{name}" for name in figures} == {n for n in linked if n[:7] == "figures"}


def test_a_page_alone_links_to_nothing(small, tmp_path):
    write(evidence_of(small, intervals=False), str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert "tables/leaderboard" not in (tmp_path / "index.html").read_text()


def test_an_empty_store_gives_empty_tables(tmp_path):
    written = write(evidence_of(FakeStore()), str(tmp_path), formats=FORMATS)
    assert written.figures == ()
    board = pd.read_parquet(tmp_path / "tables" / "leaderboard.parquet")
    assert len(board) == 0
    assert "utility_verdict" in board


def test_the_manual_describes_every_table():
    manual = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    missing = [name for name in evidence_of(FakeStore()).frames if f"**{name}**" not in manual]
    assert missing == []
