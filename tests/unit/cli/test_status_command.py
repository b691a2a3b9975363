"""The verb ``erase-ray status``."""

import json
import re

import pytest

from erase_ray.cli import status as command
from erase_ray.cli.main import main
from erase_ray.experiment.cost import Estimate
from erase_ray.experiment.plan import Node, Plan
from erase_ray.experiment.progress import StoredStatus
from erase_ray.experiment.store import Store
from erase_ray.experiment.walk import Walk
from erase_ray.report.status import read


def node(number):
    cost = Estimate(1.0, 100, 0.0, 1000)
    return Node(f"k{number}", "scif", f"toy/bpr/scif/s{number}", {}, (), cost, True, False)


@pytest.fixture
def walk(tmp_path):
    """A run of three nodes that was just begun."""
    store = Store(str(tmp_path / "store"))
    walk = Walk(Plan([node(number) for number in range(3)]), [StoredStatus(store, "first")])
    walk.watchers[0].begin(walk)
    return walk


def end(walk):
    while found := walk.next():
        walk.start(found.key)
        walk.finish(found.key, {"seconds": 1.0})
    walk.watchers[0].end()


def test_a_run_that_goes_on(walk, run):
    code, out, err = run("status", "store")
    assert (code, err) == (0, "")
    assert out.startswith("run first of ")
    assert "0 of 3 done, 3 left" in out
    assert "\x1b" not in out


def test_a_run_that_failed_or_fell_silent_is_not_well(walk, run, monkeypatch):
    walk.start(walk.next().key)
    walk.fail("k0", "ValueError: no")
    assert run("status", "store")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(read, "SILENT_S", -1.0)
        code, out, _ = run("status", "store")
    assert (code, "silent for 0:0" in out) == (1, True)
    end(walk)
    code, out, _ = run("status", "store", "--run", "first")
    assert (code, "over with 1 failure" in out) == (1, True)


def test_json(walk, run):
    code, out, _ = run("status", "store", "--json")
    found = json.loads(out)
    assert (code, found["state"], found["tally"]["left"]) == (0, "running", 3)
    assert found["groups"][0]["model"] == "bpr"


def test_a_page(walk, run, tmp_path):
    code, out, _ = run("status", "store", "--html", "pages/status.html")
    assert code == 0
    assert out.splitlines()[-1] == f"page: {tmp_path / 'pages' / 'status.html'}"
    assert "refresh" not in (tmp_path / "pages" / "status.html").read_text()


def test_watching_ends_with_the_run(walk, run, monkeypatch, tmp_path):
    naps = []

    def nap(seconds):
        naps.append(seconds)
        page = (tmp_path / "status.html").read_text()
        assert '<meta http-equiv="refresh" content="7">' in page
        if len(naps) == 2:
            end(walk)

    monkeypatch.setattr(command.time, "sleep", nap)
    code, out, _ = run("status", "store", "--watch", "7", "--html", "status.html")
    assert (code, naps) == (0, [7.0, 7.0])
    assert out.count("run first of ") == 3
    assert (out.count("0 of 3 done"), out.count("3 of 3 done")) == (2, 1)
    assert "refresh" not in (tmp_path / "status.html").read_text()


def test_a_terminal_is_drawn_anew(walk, run, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(command.time, "sleep", lambda seconds: end(walk))
    out = run("status", "store", "--watch")[1]
    assert out.count(command.CLEAR + "run first") == 2


def test_watching_can_be_stopped(walk, monkeypatch, capsys):
    def stop(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", stop)
    assert main(["status", "store", "--watch"]) == 130
    assert capsys.readouterr().err == "stopped\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "cannot read the storage at .*nowhere"),
        (["store", "--run", "other"], "no run of the store .* called 'other'. Known: first"),
        (["store", "--watch", "0.5"], "--watch takes seconds from 1 on, got 0.5"),
        (["store", "--watch", "nan"], "--watch takes seconds from 1 on, got nan"),
    ],
)
def test_what_the_user_can_mend(walk, run, arguments, text):
    code, out, err = run("status", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert re.search(text, err)


def test_a_store_without_runs(tmp_path, run):
    Store(str(tmp_path / "empty"))
    code, _, err = run("status", "empty")
    assert code == 2
    assert "there is no run in the store at" in err
    assert "jobs/full_grid.py --storage" in err
