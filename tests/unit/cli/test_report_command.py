import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from erase_ray.experiment.store import CellRecord, Store

sys.path.append(str(Path(__file__).parents[1] / "report"))
from fake_report_store import FakeStore, add_small


@pytest.fixture
def store(tmp_path):
    fake = FakeStore()
    add_small(fake)
    real = Store(str(tmp_path / "runs"))
    for key, cell in fake.cells.items():
        facts = cell["manifest"]["facts"]
        real.put_cell(key, CellRecord(settings=cell["settings"], facts=facts, **cell["tables"]))
    return real


def test_it_writes_page_tables_and_figures(run, store, tmp_path):
    code, out, err = run("report", store.uri, "--out", str(tmp_path / "out"), "--resamples", "100")
    assert (code, err) == (0, "")
    assert "scif" in out
    assert f"report: {tmp_path / 'out' / 'index.html'} (22 tables, 11 figures)" in out
    board = pd.read_parquet(tmp_path / "out" / "tables" / "leaderboard.parquet")
    assert set(board["method"]) == {"original", "retrain", "scif"}
    assert "erase-ray report" not in (tmp_path / "out" / "tables" / "leaderboard.csv").read_text()


def test_only_and_format(run, store, tmp_path):
    options = ("--only", "method=scif", "--format", "csv", "--no-intervals")
    code, out, _ = run("report", store.uri, "--out", str(tmp_path / "out"), *options)
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tables"}
    assert f"report: {tmp_path / 'out'} (11 tables, 0 figures)" in out


def test_cells_of_a_plan_that_are_not_there_are_missing(run, store, tmp_path):
    nodes = [{"key": "e" * 64, "kind": "gif", "label": "toy/bpr/gif/s0"}]
    store.put_run("one", "plan.json", json.dumps({"nodes": nodes}))
    arguments = ("--out", str(tmp_path / "out"), "--format", "csv", "--no-intervals")
    code, out, _ = run("report", store.uri, *arguments)
    assert code == 0
    assert "1 of 7 cells missing or failed: toy/bpr/gif/s0" in out
    coverage = pd.read_csv(tmp_path / "out" / "tables" / "coverage.csv")
    assert coverage.set_index("method")["missing"]["gif"] == 1
    code, out, _ = run("report", store.uri, "--run", "one", *arguments)
    assert code == 0
    assert "no results yet" in out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--only", "modl=x"), "--only modl=x: no key 'modl'"),
        (("--format", "pdf"), "no format is called 'pdf'"),
        (("--margin", "2"), "--margin takes a number between 0 and 1, got 2"),
        (("--run", "two"), "no run is called 'two'. Known: none"),
    ],
)
def test_mistakes_are_one_line_and_code_2(run, store, tmp_path, options, text):
    code, out, err = run("report", store.uri, "--out", str(tmp_path / "out"), *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {text}")
    assert err.count("\n") == 1


def test_an_empty_store_is_a_mistake(run, tmp_path):
    store = Store(str(tmp_path / "empty"))
    code, _, err = run("report", store.uri, "--out", str(tmp_path / "out"))
    assert code == 2
    assert "has no cells, planned or done; is it the right storage?" in err


def test_the_store_is_not_changed(run, store, tmp_path):
    def names() -> set[str]:
        return {str(path) for path in (tmp_path / "runs").rglob("*")}

    before = names()
    run("report", store.uri, "--out", str(tmp_path / "out"), "--no-intervals", "--format", "html")
    assert names() == before
