"""Submissions whose files were changed, and numbers that do not follow from the answers."""

import json
import shutil
from pathlib import Path

import pytest

from erase_ray.errors import FetchError
from erase_ray.experiment.recompute import recompute
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.recheck import recheck
from erase_ray.experiment.upkeep.rerun import Rerunner
from erase_ray.submission.manifest import About
from erase_ray.submission.opened import check_files, opened
from erase_ray.submission.pack import Choice, submit
from erase_ray.submission.submitted import Submitted
from tests.unit.submission.submission_toys import cell_folder, forge, tables


@pytest.fixture(scope="module")
def sound(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "s"
    submit(store.uri, folder, About(), Choice(has_weights=True))
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.fixture
def scratch(tmp_path):
    return Store(str(tmp_path / "scratch"))


@pytest.fixture
def key(store):
    """Of the cell whose method does nothing."""
    named = (key for key in store.done_cells() if store.settings(key)["method"]["name"] == "none")
    return next(named)


def problems(folder):
    with opened(folder) as submission:
        return {one.name: one.problem for one in check_files(submission).findings}


def test_a_sound_submission_is_sound(sound, scratch):
    assert problems(sound) == {}
    found = recheck(Submitted(sound, scratch))
    assert (found.differences, found.unreadable, found.num_cells) == ([], {}, 4)


def test_changed_lost_and_new_files_are_found(folder, key):
    own = cell_folder(folder, key)
    name = own.relative_to(folder).as_posix()
    (own / "costs.parquet").unlink()
    data = (own / "log.jsonl").read_bytes()
    (own / "log.jsonl").write_bytes(data[:-2] + b" \n")
    (own / "settings.yaml").write_bytes(b"x")
    (own / "ranked.parquet").rename(own / "other.parquet")
    (own / "ranked.parquet").symlink_to(own / "other.parquet")
    found = problems(folder)
    size = len(data)
    assert found.pop(f"{name}/settings.yaml").startswith("it has 1 bytes, the manifest says ")
    assert size > 2
    assert found == {
        f"{name}/costs.parquet": "it is not there",
        f"{name}/log.jsonl": "its bytes do not have the SHA-256 of the manifest",
        f"{name}/other.parquet": "the manifest does not name it",
        f"{name}/ranked.parquet": "it is a link or no file",
    }


def test_manifests_that_do_not_agree_are_found(folder, key, store):
    path = folder / "manifest.json"
    said = json.loads(path.read_text())
    by_key = {cell["key"]: cell for cell in said["cells"]}
    by_key[key]["settings"]["seed"] = 99
    gone = next(cell for cell in said["cells"] if cell["key"] != key)
    said["cells"].remove(gone)
    path.write_text(json.dumps(said))
    assert problems(folder) == {
        cell_folder(Path(), key).as_posix(): "the manifest has other settings or another key",
        cell_folder(Path(), gone["key"]).as_posix(): (
            "the manifest and the folders do not list the same cells"
        ),
    }


def test_a_tampered_number_is_found_by_recomputation(folder, key, scratch):
    results = tables(folder, key, "results")
    at = results.query("metric == 'ndcg' and k == 20 and mark == 4").index[0]
    results.loc[at, "value"] += 0.01
    forge(folder, key, results=results)
    assert problems(folder) == {}
    (one,) = recheck(Submitted(folder, scratch)).differences
    assert (one.cell, one.metric, one.k, one.mark, one.column) == (key, "ndcg", 20, 4, "value")


def test_tampered_answers_with_numbers_that_fit_are_found_by_running_again(folder, key, scratch):
    ranked = tables(folder, key, "ranked")
    first = ranked.query("asks == 'test'").index[0]
    ranked.at[first, "items"] = ranked.at[first, "items"][::-1]
    forge(folder, key, ranked=ranked)
    submitted = Submitted(folder, scratch)
    forge(folder, key, results=recompute(submitted, key))
    assert problems(folder) == {}
    assert recheck(submitted).differences == []
    (one,) = Rerunner(submitted, scratch).run([key])
    assert one.status == "differs"
    assert {each.metric for each in one.differences} >= {"ndcg"}
    assert {(each.mark, each.column) for each in one.differences} == {(1, "value")}


def test_data_that_cannot_be_made_here_are_a_reason(sound, scratch, monkeypatch):
    def none(*args):
        raise FetchError("no raw files")

    monkeypatch.setattr("erase_ray.experiment.run.find_raw", none)
    found = recheck(Submitted(sound, scratch))
    assert found.num_cells == 0
    assert set(found.unreadable.values()) == {
        "the dataset 'planted' cannot be made here: no raw files"
    }


def test_without_a_place_for_data_there_are_none(sound):
    assert "a submission has no data" in next(iter(recheck(Submitted(sound)).unreadable.values()))
