import json
from pathlib import Path

import pytest

from tests.unit.experiment.recompute_toys import copied, finished


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return finished("sensitive", tmp_path_factory.mktemp("runs"))


def test_a_sound_store_ends_with_0_and_says_what_was_done(run, done):
    store, cell = done
    code, out, err = run("verify", store.uri)
    files, results = out.splitlines()
    assert (code, err) == (0, "")
    assert files.endswith("read: nothing damaged")
    num_rows = len(store.table(cell.key, "results"))
    assert results == (
        f"1 cells, {num_rows} results computed again: nothing differs; passed over: 1 base"
    )


@pytest.fixture
def wrong(done, tmp_path):
    """A copy in which a metric is another one at all marks."""
    store, cell = done
    results = store.table(cell.key, "results")
    is_hit = (results["metric"] == "hit") & (results["k"] == 10)
    results.loc[is_hit, "value"] = 0.125
    return copied(store, cell, tmp_path, results=results), cell


def test_wrong_metrics_end_with_1_and_a_way_out(run, wrong):
    store, cell = wrong
    code, out, _ = run("verify", store.uri)
    lines = out.splitlines()[1:]
    folder = f"cells/{cell.key[:2]}/{cell.key}"
    assert code == 1
    assert lines[0] == f"{folder}/results.parquet"
    assert lines[1].startswith("  hit at 10, mark 1: value is 0.125, recomputed 0.")
    assert lines[4] == "  and 1 more"
    assert lines[5] == f"  -> delete the folder {folder} and run the same command again"
    assert lines[-1].endswith("results computed again: 4 differ")


def test_machines_get_all_differences(run, wrong):
    store, cell = wrong
    code, out, _ = run("verify", store.uri, "--json", "--jobs", "2")
    found = json.loads(out)
    assert code == 1
    assert found["files"]["findings"] == []
    assert found["results"]["num_cells"] == 1
    one = found["results"]["differences"][0]
    assert one["recomputed"] != one["stored"]
    assert {k: one[k] for k in ("cell", "mark", "metric", "k", "column", "stored")} == {
        "cell": cell.key,
        "mark": 1,
        "metric": "hit",
        "k": 10,
        "column": "value",
        "stored": 0.125,
    }
    assert len(found["results"]["differences"]) == 4


def test_a_damaged_file_is_told_once(run, done, tmp_path):
    store, cell = done
    other = copied(store, cell, tmp_path)
    path = Path(other.uri, "cells", cell.key[:2], cell.key, "ranked.parquet")
    path.write_bytes(b"x" + path.read_bytes()[1:])
    code, out, _ = run("verify", other.uri)
    assert code == 1
    assert out.count("ranked.parquet") == 1
    assert "its bytes do not have the SHA-256 of its manifest" in out
    assert "0 cells, 0 results computed again: nothing differs" in out


def test_a_missing_chain_is_told_with_its_cell(run, done, tmp_path):
    store, cell = done
    other = copied(store, cell, tmp_path)
    for path in tmp_path.glob("data/*/*/chains/*/manifest.json"):
        path.unlink()
    code, out, _ = run("verify", other.uri)
    assert code == 1
    assert f"cells/{cell.key[:2]}/{cell.key}\n  its results cannot be computed again: data/" in out
    assert "it has to be run first" in out


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--sample", "0", "--sample takes a share above 0 and up to 1, got 0"),
        ("--jobs", "0", "--jobs takes a number from 1 on, got 0"),
    ],
)
def test_options_out_of_range(run, done, option, value, text):
    code, _, err = run("verify", done[0].uri, option, value)
    assert (code, err) == (2, f"error: {text}\n")
