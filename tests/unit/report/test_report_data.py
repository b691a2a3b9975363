"""Text and plot of a description."""

import numpy as np
import pytest

from erase_ray.data.description import CategorySummary, Description
from erase_ray.errors import SettingsError
from erase_ray.report.data_plot import write_data_plot
from erase_ray.report.data_text import cleaning_lines, data_text, percent, table


def description(**changes) -> Description:
    facts = {
        "dataset": "toy",
        "task": "cf",
        "sizes": {"interactions": 2000, "users": 10, "items": 4},
        "parts": {"train": 1600, "valid": 200, "test": 200},
        "popularity": np.array([1000, 500, 300, 200]),
        "lengths": {"interactions a user": np.array([1, 100, 1899])},
        "categories": (CategorySummary("odd", 1, 500, 5, (("b<", "B & b\nand " + "x" * 100),)),),
    }
    return Description(**(facts | changes))


def test_text():
    counts = {"read": 4000, "distinct": 2000}
    assert data_text(description(), counts).splitlines() == [
        "toy (cf)",
        "",
        "interactions  2,000",
        "users            10",
        "items             4",
        "",
        "rows after each step   rows   share",
        "read                  4,000   100 %",
        "distinct              2,000  50.0 %",
        "",
        "split   rows   share",
        "train  1,600  80.0 %",
        "valid    200  10.0 %",
        "test     200  10.0 %",
        "",
        "spread                min  25 %  median   75 %   90 %   99 %    max  mean",
        "interactions an item  200   200     300    500  1,000  1,000  1,000   500",
        "interactions a user     1     1     100  1,899  1,899  1,899  1,899   667",
        "rows of the most popular items: top 1% 50.0 %, top 10% 50.0 %, top 20% 50.0 %",
        "",
        "category  items   share  rows   share  users   share",
        "odd           1  25.0 %   500  25.0 %      5  50.0 %",
        "",
        "1 of the 1 items of 'odd'",
        "  b<  B & b and " + "x" * 89 + "…",
    ]


def test_what_is_not_known_is_left_out():
    text = data_text(description(categories=(), popularity=np.zeros(0, int)))
    assert "rows after each step" not in text
    assert text.endswith("no sensitive categories")
    line = next(line for line in text.splitlines() if line.startswith("interactions an item"))
    assert line.split()[3:] == ["-"] * 7 + ["nan"]


def test_shares_are_of_what_was_read():
    lines = cleaning_lines({"bad": 1, "read": 100, "kept": 50})
    assert [line.split()[-2:] for line in lines[1:]] == [["1.00", "%"], ["100", "%"], ["50.0", "%"]]
    assert percent(1, 0) == "-"


def test_columns():
    assert table([["a", "bb", "c"], ["aaa", "b", "ccc"]], ["1", "2", "3"], left=("2",)) == [
        "1    2     3",
        "a    bb    c",
        "aaa  b   ccc",
    ]


@pytest.mark.parametrize("ending", [".png", ".html", ".PNG"])
def test_the_same_bytes_each_time(tmp_path, ending):
    path = tmp_path / f"toy{ending}"
    data = []
    for _ in range(2):
        assert write_data_plot(description(), str(path)) == str(path)
        data.append(path.read_bytes())
    assert data[0] == data[1]


def test_the_page_holds_picture_and_text(tmp_path):
    write_data_plot(description(), str(tmp_path / "toy.html"))
    page = (tmp_path / "toy.html").read_text()
    for part in ("<svg", "popularity", "interactions a user", "sensitive categories", "b&lt;"):
        assert part in page
    assert "<?xml" not in page
    assert "b<  B" not in page


def test_a_plot_of_nothing(tmp_path):
    empty = description(
        sizes={"interactions": 0, "users": 0, "items": 0},
        popularity=np.zeros(0, int),
        lengths={"interactions a user": np.zeros(0, int)},
        categories=(),
    )
    path = tmp_path / "toy.png"
    write_data_plot(empty, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_another_ending(tmp_path):
    with pytest.raises(SettingsError, match=r"a plot is a \.png or a \.html file, got 'toy\.svg'"):
        write_data_plot(description(), "toy.svg")
