import json
import re
from pathlib import Path

import pytest

from tests.unit.submission.submission_toys import filled, forge, tables


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def archive(run, store, tmp_path):
    out = tmp_path / "set.tar.gz"
    code, said, err = run("submit", store.uri, "--out", out, "--title", "T", "--who", "A. Lee")
    assert (code, err) == (0, "")
    lines = said.splitlines()
    assert lines[:2] == [
        "failed: planted:cf/bpr/retrain@3/s2",
        "missing: planted:cf/bpr/retrain@4/s2",
    ]
    assert re.fullmatch(
        rf"{out}: 5 cells, 36 files, .* kB; 'erase-ray verify {out}' checks it", lines[2]
    )
    return out


def test_a_submission_is_verified_and_run_again(run, archive, tmp_path):
    ask = ("verify", archive, "--rerun", "2", "--rerun-into", tmp_path / "scratch")
    code, out, err = run(*ask)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"submission 'T' by A. Lee, \d{4}-\d\d-\d\d: 5 cells, 2 cells of its plans are not in it",
        lines[0],
    )
    assert lines[1:3] == [
        "  failed: planted:cf/bpr/retrain@3/s2 (OSError: no /home/***/disk)",
        "  missing: planted:cf/bpr/retrain@4/s2",
    ]
    assert lines[3].startswith("36 files, ")
    assert lines[4] == "4 cells, 800 results computed again: nothing differs; passed over: 1 base"
    assert all(
        re.fullmatch(r"equal    \S+ \(\w{12}\): \d+ numbers, \d+\.\d s", n) for n in lines[5:7]
    )
    assert lines[5].split()[1] != lines[6].split()[1]
    assert lines[7] == "2 of 4 cells run again: 2 equal"
    assert (tmp_path / "scratch" / "cells").is_dir()


def test_a_forged_number_ends_with_1_both_ways(run, store, tmp_path):
    run("submit", store.uri, "--out", tmp_path / "s", "--only", "method=original")
    (key,) = (path.name for path in (tmp_path / "s" / "cells").glob("*/*"))
    results = tables(tmp_path / "s", key, "results")
    results.loc[results["metric"] == "ndcg", "value"] += 0.01
    forge(tmp_path / "s", key, results=results)
    code, out, _ = run("verify", tmp_path / "s", "--rerun", "100%")
    assert code == 1
    assert "nothing damaged" in out
    assert "800" not in out
    assert re.search(r"ndcg at 10, mark 1: value is 0\.\d+, recomputed 0\.\d+", out)
    assert re.search(r"\ndiffers  \S+ \(\w+\): 8 differ, of 320 numbers, ", out)
    assert re.search(r"\n  ndcg at \d+, mark \d: value is 0\.\d+, run again 0\.\d+\n", out)
    assert "\n  and 5 more\n" in out
    assert out.endswith("1 of 1 cells run again: 1 differ\n")
    code, out, _ = run("verify", tmp_path / "s", "--rerun", "1", "--json")
    found = json.loads(out)
    (one,) = found["rerun"]
    assert (code, one["status"], len(one["differences"])) == (1, "differs", 8)
    assert found["submission"]["absent"]


def test_nothing_that_could_be_run_is_no_success(run, store, tmp_path, monkeypatch):
    def broken(*args):
        raise RuntimeError("no device")

    monkeypatch.setattr("erase_ray.experiment.upkeep.rerun.run_cell", broken)
    code, out, _ = run("verify", store.uri, "--rerun", "1")
    assert code == 1
    assert "could not be run again: " in out
    assert out.endswith("RuntimeError: no device\n1 of 4 cells run again: 1 could not be run\n")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--rerun", "x"], "--rerun takes a number of cells such as 3, or a share up to 100%"),
        (["--only", "seed=2"], "--only and --tolerance go with --rerun"),
        (["--rerun", "1", "--tolerance", "2"], "--tolerance takes a share from 0 to 1, got 2"),
        (["--rerun", "1", "--threads", "0"], "--threads takes a number from 1 on, got 0"),
        (["--rerun", "1", "--only", "seed=3"], "--only seed=3: no finished cell has this seed"),
    ],
)
def test_mistakes_end_with_2(run, store, options, text):
    code, _, err = run("verify", store.uri, *options, "--sample", "0.001")
    assert code == 2
    assert err.startswith(f"error: {text}")


def test_a_damaged_archive_is_refused(run, archive):
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])
    code, _, err = run("verify", archive)
    assert code == 2
    assert "is not a .tar.gz of a submission" in err


def test_nothing_is_written_over(run, store, archive):
    before = Path(archive).read_bytes()
    code, _, err = run("submit", store.uri, "--out", archive)
    assert (code, err) == (
        2,
        f"error: {archive} exists; name another file or folder, or delete it\n",
    )
    assert Path(archive).read_bytes() == before
