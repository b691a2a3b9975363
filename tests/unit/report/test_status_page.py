"""A status as a page; what a browser makes of it is tested with one, in tests/browser."""

import re

import pytest
from status_toys import Clock, Driver, key_of, node, reader

from erase_ray.experiment.plan import Plan
from erase_ray.report.status import status_page, write_status_page
from erase_ray.report.status.nodes import Tally
from erase_ray.report.status.page import Segment, segments


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def status(tmp_path, monkeypatch, clock):
    driver = Driver(str(tmp_path / "store"), monkeypatch, clock)
    driver.finish("data/toy", 5)
    driver.start("toy/bpr/base/s2")
    driver.wait(20)
    return reader(str(tmp_path / "store"), clock).read()


def test_it_needs_nothing_else(status):
    page = status_page(status)
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert 'http-equiv="refresh"' not in page
    assert page.startswith("<!doctype html>")


def test_it_is_loaded_anew_as_often_as_asked_but_not_all_the_time(status):
    assert '<meta http-equiv="refresh" content="30">' in status_page(status, 30.0)
    assert '<meta http-equiv="refresh" content="5">' in status_page(status, 1.0)


def test_text_of_errors_is_no_markup(tmp_path, monkeypatch, clock):
    driver = Driver(str(tmp_path), monkeypatch, clock, Plan([node("toy", "bpr", "scif")]))
    driver.start("toy/bpr/scif/s2")
    driver.walk.fail(key_of("toy/bpr/scif/s2"), "ValueError: <script>alert(1)</script>")
    page = status_page(reader(str(tmp_path), clock).read())
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_run_that_had_nothing_to_do_has_a_page(tmp_path, monkeypatch, clock, status):
    Driver(str(tmp_path), monkeypatch, clock).store.put_run("none", "report/index.html", "x")
    page = status_page(reader(str(tmp_path), clock).read("none"))
    assert "No driver has written a status" in page


def test_segments_fill_the_bar():
    assert segments(Tally(all=8, done=2, failed=1, left=5)) == [
        Segment("done", 0.0, 25.0),
        Segment("failed", 25.0, 12.5),
        Segment("left", 37.5, 62.5),
    ]
    assert segments(Tally()) == []


def test_the_file_is_written(tmp_path, status):
    path = write_status_page(status, str(tmp_path / "new" / "status.html"))
    assert path == str(tmp_path / "new" / "status.html")
    assert (tmp_path / "new" / "status.html").read_text() == status_page(status)
