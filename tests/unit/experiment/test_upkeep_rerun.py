"""Cells that are run once more."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from erase_ray.errors import FetchError, SettingsError, StoreError
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep import rerun
from erase_ray.experiment.upkeep.rerun import Rerunner
from erase_ray.experiment.upkeep.sample import sample_size, stratified
from tests.unit.submission.submission_toys import cell_folder, described, filled, forge


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def origin(done, tmp_path):
    """A copy that a test may change."""
    return Store(str(shutil.copytree(done.uri, tmp_path / "origin")))


@pytest.fixture
def scratch(tmp_path):
    return Store(str(tmp_path / "scratch"))


def key_of(store, method):
    found = (key for key in store.done_cells() if store.settings(key)["method"]["name"] == method)
    return next(found)


def changed(store, key, by):
    """Add ``by`` to the value of a metric at all marks, with the checksums made to fit."""
    results = store.table(key, "results")
    results.loc[results["metric"] == "ndcg", "value"] *= 1 + by
    forge(Path(store.uri), key, results=results)


def claimed(store, key, **versions):
    """Let a cell say that it was made with other versions."""
    path = cell_folder(Path(store.uri), key) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["versions"] |= versions
    path.write_text(json.dumps(manifest))


def test_the_same_machine_gives_the_same_bits_and_only_what_is_needed_is_run(done, scratch):
    key = key_of(done, "original")
    (one,) = Rerunner(done, scratch).run([key])
    assert (one.status, one.differences, one.around, one.tolerance) == ("equal", (), (), 0.0)
    assert one.label == "planted:cf/bpr/original/s2"
    assert (one.num_rows, one.data) == (len(done.table(key, "results")), "raw")
    assert scratch.done_cells() == {key, key_of(done, "base")}
    assert (
        scratch.manifest(key)["files"]["results.parquet"]
        == (done.manifest(key)["files"]["results.parquet"])
    )


def test_another_number_differs_whatever_its_size(origin, scratch):
    key = key_of(origin, "original")
    changed(origin, key, 1e-12)
    (one,) = Rerunner(origin, scratch).run([key])
    assert one.status == "differs"
    assert {each.metric for each in one.differences} == {"ndcg"}
    (one,) = Rerunner(origin, scratch, tolerance=1e-9).run([key])
    assert (one.status, one.differences) == ("close", ())


def test_other_versions_are_named_and_allow_a_tolerance(origin, scratch):
    key = key_of(origin, "original")
    claimed(origin, key, torch="1.0")
    (one,) = Rerunner(origin, scratch).run([key])
    assert one.status == "equal"
    changed(origin, key, 0.01)
    (one,) = Rerunner(origin, scratch).run([key])
    assert (one.status, one.tolerance, one.differences) == ("close", rerun.TOLERANCE, ())
    ((name, there, here),) = one.around
    assert (name, there) == ("torch", "1.0")
    assert here == scratch.manifest(key)["versions"]["torch"]
    changed(origin, key, 0.2)
    (one,) = Rerunner(origin, scratch).run([key])
    assert (one.status, {each.metric for each in one.differences}) == ("differs", {"ndcg"})
    (one,) = Rerunner(origin, scratch, tolerance=0.0).run([key])
    assert one.status == "differs"


def test_rows_too_many_differ(origin, scratch):
    key = key_of(origin, "original")
    results = origin.table(key, "results")
    forge(Path(origin.uri), key, results=results.loc[[0, *range(len(results))]])
    (one,) = Rerunner(origin, scratch).run([key])
    assert one.status == "differs"
    (difference,) = one.differences
    assert (difference.metric, difference.stored) == ("rows", len(results) + 1)
    assert difference.recomputed == len(results)


def test_an_interrupted_check_goes_on_where_it_was(done, scratch, monkeypatch):
    keys = [key_of(done, "original"), key_of(done, "none")]
    first = next(Rerunner(done, scratch).run(keys))
    ran = []

    def noted(cell, *args):
        ran.append(cell.label)
        return original(cell, *args)

    original = rerun.run_cell
    monkeypatch.setattr(rerun, "run_cell", noted)
    both = list(Rerunner(done, scratch).run(keys))
    assert ran == ["planted:cf/bpr/none/s2"]
    assert [one.status for one in (first, *both)] == ["equal"] * 3


def test_data_of_the_store_serve_where_raw_files_are_gone(done, scratch, monkeypatch):
    monkeypatch.setattr(rerun, "find_raw", _no_raw)
    (one,) = Rerunner(done, scratch).run([key_of(done, "original")])
    assert (one.status, one.data) == ("equal", "prepared")


def test_what_cannot_be_run_is_told_with_the_reason_and_tried_once(origin, scratch, monkeypatch):
    monkeypatch.setattr(rerun, "find_raw", _no_raw)
    shutil.rmtree(Path(origin.uri, "data"))
    keys = [key_of(origin, "original"), key_of(origin, "none")]
    found = list(Rerunner(origin, scratch).run(keys))
    assert [one.status for one in found] == ["not run"] * 2
    assert {one.reason for one in found} == {"data/planted:cf: no raw files of planted"}
    calls = Counter()

    def broken(cell, *args):
        calls[cell.label] += 1
        raise RuntimeError("a bug")

    monkeypatch.undo()
    monkeypatch.setattr(rerun, "run_cell", broken)
    found = list(Rerunner(origin, scratch).run(keys))
    assert {one.reason for one in found} == {"planted:cf/bpr/base/s2: RuntimeError: a bug"}
    assert calls == {"planted:cf/bpr/base/s2": 1}


def test_cells_of_another_version_are_not_run(origin, scratch):
    key = key_of(origin, "original")
    own = cell_folder(Path(origin.uri), key)
    text = (own / "settings.yaml").read_text().replace("seed: 2", "seed: 3")
    (own / "settings.yaml").write_text(text)
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["files"]["settings.yaml"] = described(own / "settings.yaml")
    (own / "manifest.json").write_text(json.dumps(manifest))
    (one,) = Rerunner(origin, scratch).run([key])
    assert (one.status, one.reason) == (
        "not run",
        "made by another version, or not the settings of its key",
    )


def test_results_that_a_limit_of_time_may_change_are_not_judged(origin, scratch, monkeypatch):
    key = key_of(origin, "original")
    (good,) = Rerunner(origin, scratch).run([key])
    cell = rerun.Cell(**origin.settings(key))
    limited = cell.model_copy(update={"limit_s": 5.0})
    monkeypatch.setattr(rerun, "_known_cell", lambda *args: limited)
    monkeypatch.setattr(type(limited), "key", key)
    assert good.status == "equal"
    changed(origin, key, 0.5)
    (one,) = Rerunner(origin, scratch).run([key])
    assert one.status == "not run"
    assert one.reason == "a limit of 5 s a request can make it another one every time"


def test_a_scratch_store_must_be_one(done, origin):
    with pytest.raises(StoreError, match="is what is checked; name another folder"):
        Rerunner(done, Store(done.uri))
    with pytest.raises(StoreError, match="has cells that no check has run; name an empty folder"):
        Rerunner(done, origin)


def _no_raw(dataset, places):
    raise FetchError(f"no raw files of {dataset.name}")


@pytest.mark.parametrize(
    ("text", "population", "size"),
    [("5%", 100, 5), ("5%", 10, 1), ("2.5 %", 1000, 25), ("100%", 7, 7), ("3", 10, 3), ("9", 4, 4)],
)
def test_sizes_of_samples(text, population, size):
    assert sample_size(text, population) == size


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-1", "x", "1.5", ""])
def test_samples_of_no_size(text):
    with pytest.raises(SettingsError, match=f"a share up to 100% such as 5%, got '{text}'"):
        sample_size(text, 10)


def test_strata_take_turns_and_the_seed_draws():
    strata = {
        f"{name}{n}": name for name, count in (("a", 50), ("b", 3), ("c", 1)) for n in range(count)
    }
    drawn = stratified(strata, 6, 0)
    assert Counter(key[0] for key in drawn) == {"a": 3, "b": 2, "c": 1}
    assert drawn == stratified(dict(reversed(strata.items())), 6, 0)
    assert len({tuple(stratified(strata, 6, seed)) for seed in range(20)}) > 10
    assert len(set(stratified(strata, 54, 1))) == 54
    assert stratified(strata, 2, 3) == stratified(strata, 6, 3)[:2]
