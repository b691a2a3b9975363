"""A status as lines for the terminal."""

import pytest
from status_toys import RUN, Clock, Driver, key_of, node, reader

from erase_ray.experiment.plan import Plan
from erase_ray.report.numbers import DASH
from erase_ray.report.status import status_text
from erase_ray.report.status.text import cut

BASE, SCIF = "toy/bpr/base/s2", "toy/bpr/scif/s2"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def driver(tmp_path, monkeypatch, clock):
    return Driver(str(tmp_path), monkeypatch, clock)


def text_of(tmp_path, clock, run=None):
    return status_text(reader(str(tmp_path), clock).read(run))


def test_while_it_runs(tmp_path, driver, clock):
    driver.finish("data/toy", 2, device="cpu")
    driver.start(BASE)
    driver.wait(10)
    driver.walk.again(key_of(BASE), "memory", "out of memory")
    driver.start(BASE)
    driver.wait(10)
    clock.now += 4
    lines = text_of(tmp_path, clock).splitlines()
    assert lines[0] == f"run {RUN} of {tmp_path}"[:80]
    assert lines[1] == "running for 0:22, updated 0:04 ago"
    assert lines[2] == "[#####-----------------------------------] 12 %, about 0:36 left"
    assert lines[3] == "1 of 8 done, 1 running, 6 left"
    assert "tried again 1 time (1 out of memory)" in lines
    # 20 s were expected of it, and it is 14 s old; there is a second try
    assert any(line.split() == f"{BASE} (try 2) 0:14 {DASH} soon".split() for line in lines)
    again = next(line for line in lines if "  again  " in line)
    assert again.split() == ["22:13:32", "again", BASE, "10.0", "s", "out", "of", "memory"]


def test_columns_are_aligned_and_lines_fit(tmp_path, monkeypatch, clock):
    long = "a_dataset_with_quite_a_long_name"
    nodes = [node(long, "bpr", f"a_method_of_some_length_{n}") for n in range(40)]
    driver = Driver(str(tmp_path), monkeypatch, clock, Plan(nodes), run="r" * 60)
    for each in nodes[:9]:
        driver.finish(each.label, 3)
    for each in nodes[10:35]:
        driver.start(each.label)
    driver.walk.fail(nodes[20].key, "ValueError: " + "x" * 500)
    driver.wait(10)
    text = text_of(tmp_path, clock)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if line.lstrip().startswith("all "))
    row = next(line for line in lines if line.startswith("  a_method"))
    for title in ("all", "done", "running", "failed", "blocked", "left", "%"):
        end = head.index(title) + len(title)
        assert row[end - 1] in "0123456789-"
        assert row[end : end + 1] in ("", " ")
    assert "and 12 more" in lines
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ("done", "done after 0:05, 1:00 ago"),
        ("stopped", "stopped after 0:05, 1:00 ago; the same command goes on from here"),
        ("silent", "silent for 1:05: its driver has died or cannot reach the store"),
    ],
)
def test_how_it_ended(tmp_path, monkeypatch, clock, ended, words):
    nodes = [node("toy", "", "data"), node("clicks", "", "data")]
    driver = Driver(str(tmp_path), monkeypatch, clock, Plan(nodes))
    if ended == "silent":
        clock.now += 65
    else:
        driver.finish("data/toy", 5)
        if ended == "done":
            driver.finish("data/clicks", 0)
        driver.status.end()
        clock.now += 60
    assert text_of(tmp_path, clock).splitlines()[1] == words


def test_failures_are_grouped_by_their_text(tmp_path, driver, clock):
    for label in (BASE, "clicks/gru4rec/base/s2"):
        driver.start(label)
        driver.walk.fail(key_of(label), "TrainingError: not finite")
    driver.status.end()
    text = text_of(tmp_path, clock)
    assert "over with 2 failures after 0:00, 0:00 ago" in text
    assert f"failed\n  {BASE} and 1 more (2 left out that need it)\n    TrainingError: not" in text


def test_plan_and_all_starts(tmp_path, driver, clock, monkeypatch):
    driver.finish("data/toy", 360, device="cpu")
    driver.status.end()
    Driver(str(tmp_path), monkeypatch, clock).wait(180)
    lines = [line.split() for line in text_of(tmp_path, clock).splitlines()]
    assert ["time", "3:00", "30:00", "9:00"] in lines
    assert ["CPU-hours", "0.00", "0.25", "0.10"] in lines
    assert ["dollars", "$0.60", "$6.00", "$1.80"] in lines


def test_a_run_that_had_nothing_to_do(tmp_path, driver, clock):
    driver.store.put_run("later", "report/index.html", "<html>")
    assert "no driver has written a status" in text_of(tmp_path, clock, "later")


def test_cut_keeps_both_ends():
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 10) == "abcde…hijk"
