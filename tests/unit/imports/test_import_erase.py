"""A folder of ERASE's artefacts."""

import io
import os

import pyarrow.parquet as pq
import pytest
import torch
from erase_folder import BASE, FORGET, UNLEARNED, make, prepare
from hostile_files import Touch

from erase_ray.experiment.plain_weights import read_plain
from erase_ray.experiment.store import Store
from erase_ray.imports.erase import kinds_of, scan, take_in
from erase_ray.imports.errors import ForeignFileError


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "erase")


@pytest.fixture
def data(folder, tmp_path):
    return prepare(folder, Store(str(tmp_path / "runs")))


def by_path(taken) -> dict:
    return {finding.path: finding for finding in taken.findings}


def test_what_there_is(folder):
    findings = scan(folder)
    assert kinds_of(findings) == {
        "unlearned model": 1,
        "base model": 1,
        "forget set": 3,
        "sensitive items": 1,
        "interactions": 1,
        "log": 1,
        "unknown": 1,
    }
    assert all(not finding.done for finding in findings)
    with pytest.raises(ForeignFileError, match="there is no folder"):
        scan(folder / "none")


def test_links_that_lead_out_are_not_followed(folder, tmp_path):
    (tmp_path / "secret.log").write_text("x")
    os.symlink(tmp_path / "secret.log", folder / "link.log")
    assert "link.log" not in {finding.path for finding in scan(folder)}


def test_rows_of_logs(folder):
    taken = take_in(folder, lambda name: None)
    assert [(row["method"], row["mark"], row["value"]) for row in taken.rows] == [
        ("original", 0, 0.5),
        ("scif", 2, 0.25),
    ]
    assert by_path(taken)["run.log"].done == "2 rows"
    assert taken.read["run.log"]["size"] == (folder / "run.log").stat().st_size
    faults = {f.fault for f in taken.findings if f.kind == "forget set"}
    assert faults == {"the store has no prepared toy"}


def test_requests_ask_for_all_rows_of_a_person_with_the_items(folder, data):
    taken = take_in(folder, {"toy": data}.get)
    finding = by_path(taken)[f"dataset/toy/{FORGET}.inter"]
    assert finding.done == "2 requests, 3 rows; 1 not in the data"
    table = pq.read_table(io.BytesIO(taken.files[f"requests_{FORGET}.inter.parquet"])).to_pydict()
    assert table["request"] == [0, 0, 1]
    assert table["user"] == ["u10", "u10", "u2"]


def test_requests_of_users_ask_for_all_items_of_the_category(folder, data):
    taken = take_in(folder, {"toy": data}.get)
    table = pq.read_table(io.BytesIO(taken.files[f"requests_{FORGET}.json.parquet"])).to_pydict()
    assert set(table["item"]) == {"7", "9"}
    assert set(table["user"]) == {"u1", "u10"}
    inner = data.interactions
    for user, item, row in zip(table["user"], table["item"], table["row"], strict=True):
        assert data.vocabulary.users[inner.user[row]] == user
        assert data.vocabulary.items[inner.item[row]] == item
    pickled = by_path(taken)[f"dataset/toy/{FORGET}.pkl"]
    assert pickled.done == "1 requests, 3 rows; 1 not in the data"


def test_weights_of_checkpoints(folder, tmp_path):
    taken = take_in(folder, lambda name: None, tmp_path / "weights")
    assert by_path(taken)[f"saved/{BASE}"].done == "weights, with outer ids"
    plain = read_plain(tmp_path / "weights" / UNLEARNED.removesuffix(".pth"))
    assert plain.facts.source["erase"]["algorithm"] == "scif"
    assert plain.vocabulary is not None
    assert list(plain.vocabulary["user"]) == ["u10", "u2", "u1"]


def test_a_hostile_file_stops_nothing_and_runs_nothing(folder, tmp_path):
    mark = tmp_path / "written"
    torch.save({"state_dict": Touch(mark)}, folder / "saved" / BASE)
    taken = take_in(folder, lambda name: None, tmp_path / "weights")
    assert "asks for 'posix.system'" in by_path(taken)[f"saved/{BASE}"].fault
    assert by_path(taken)[f"saved/{UNLEARNED}"].done
    assert len(taken.rows) == 2
    assert not mark.exists()


def test_a_log_that_names_no_checkpoint(folder):
    (folder / "other.log").write_text("test result: OrderedDict([('recall@10', 0.5)])\n")
    finding = by_path(take_in(folder, lambda name: None))["other.log"]
    assert finding.fault.startswith("no checkpoint is named before the test result of line 1")
