import json
import os
from pathlib import Path

import pytest
import torch

from erase_ray.cli import _tell
from erase_ray.experiment.store import CellRecord, Store

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "runs"))
    sha = store.put_weights({"w": torch.ones(10)})
    facts = {"dataset": "toy", "data_key": "d", "model": "bpr", "method": "base"}
    store.put_cell(KEY, CellRecord({}, weights={"0": sha}, facts=facts))
    return store


def test_verify_says_how_much_was_read_and_ends_with_0(run, store):
    code, out, err = run("store", "verify", store.uri)
    assert (code, err) == (0, "")
    assert out.startswith("8 files, ")
    assert out.endswith(" kB read: nothing damaged\n")


def test_verify_ends_with_1_and_a_way_out_where_something_is_damaged(run, store, tmp_path):
    (tmp_path / f"runs/cells/ab/{KEY}/log.jsonl").write_text("x")
    code, out, _ = run("store", "verify", store.uri)
    assert code == 1
    assert out.startswith(
        f"cells/ab/{KEY}/log.jsonl\n  it has 1 bytes, its manifest says 0\n"
        f"  -> delete the folder cells/ab/{KEY} and run the same command again\n"
    )
    assert out.endswith("read: 1 damaged\n")
    code, out, _ = run("store", "verify", store.uri, "--json")
    assert code == 1
    assert json.loads(out)["findings"][0]["problem"] == "it has 1 bytes, its manifest says 0"


@pytest.mark.parametrize("share", ["0", "1.5", "nan"])
def test_a_sample_is_a_share(run, store, share):
    code, _, err = run("store", "verify", store.uri, "--sample", share)
    assert (code, err) == (
        2,
        f"error: --sample takes a share above 0 and up to 1, got {float(share):g}\n",
    )


def test_gc_shows_what_goes(run, store):
    store.put_weights({"w": torch.zeros(500)})
    code, out, _ = run("store", "gc", store.uri)
    assert (code, out) == (0, "done\n")
    code, out, _ = run("store", "gc", store.uri, "--grace", "0", "--dry-run", "--json")
    found = json.loads(out)
    assert found["dry_run"]
    assert found["swept"].keys() <= {"weights to the trash"}
    assert len(_weights(store)) == 2
    for weights in _weights(store):
        _older(weights)
    code, out, _ = run("store", "gc", store.uri)
    lines = out.splitlines()
    assert lines[0].split() == ["kind", "files", "size"]
    assert lines[1].split()[:5] == ["weights", "to", "the", "trash", "1"]
    assert lines[2] == "done"
    assert len(_weights(store)) == 1


def _weights(store):
    return list((Path(store.uri) / "weights").iterdir())


def _older(path):
    time = path.stat().st_mtime - 2 * 86400
    os.utime(path, (time, time))


@pytest.mark.parametrize("hours", ["-1", "nan"])
def test_a_grace_period_is_not_negative(run, store, hours):
    code, _, err = run("store", "gc", store.uri, "--grace", hours)
    assert (code, err) == (2, f"error: --grace takes hours from 0 on, got {float(hours):g}\n")


def test_du_shows_kinds_and_cells_and_a_total(run, store):
    code, out, _ = run("store", "du", store.uri)
    assert code == 0
    blocks = out.split("\n\n")
    assert blocks[0].split()[:3] == ["kind", "files", "size"]
    assert "toy bpr base      8  " in blocks[1]
    assert blocks[2].startswith("8 files, ")
    found = json.loads(run("store", "du", store.uri, "--json")[1])
    assert found["cells"]["toy bpr base"]["files"] == 8
    assert found["kind"]["weights, full copies"]["files"] == 1


def test_sync_copies_and_says_so(run, store, tmp_path):
    code, out, _ = run("store", "sync", store.uri, tmp_path / "copy")
    assert code == 0
    assert out.startswith("copied 1 cells and datasets, 1 weights and 0 files of runs, ")
    assert Store(str(tmp_path / "copy")).done_cells() == {KEY}
    code, out, _ = run("store", "sync", store.uri, tmp_path / "copy", "--json")
    assert json.loads(out) == {"folders": 0, "weights": 0, "runs": 0, "size": 0, "there": 1}


def test_a_store_is_not_copied_onto_itself(run, store):
    code, _, err = run("store", "sync", store.uri, f"file://{store.uri}")
    assert (code, err) == (2, f"error: source and target are the same store, {store.uri}\n")


def test_a_store_that_is_not_there_is_one_line(run, tmp_path):
    for verb in ("verify", "du"):
        code, _, err = run("store", verb, tmp_path / "no")
        assert code == 2
        assert err.startswith(f"error: cannot read the storage at {tmp_path}/no: ")


def test_progress_goes_to_standard_error_every_few_seconds(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tell = _tell.progress()
    for done in range(1, 6):
        now[0] += 1.0
        tell("files", done, 9)
    assert capsys.readouterr().err == "files: 3 of 9\n"
