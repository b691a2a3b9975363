import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import StoreError
from erase_ray.experiment import _events
from erase_ray.experiment.results import RANKED, REQUESTS, RESULTS
from erase_ray.experiment.store import CellRecord, Store

KEY = "ab" * 32
TABLES = ("results", "costs", "requests", "ranked")


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(str(tmp_path / "runs") if request.param == "local" else f"memory://{tmp_path}")


@pytest.fixture
def local(tmp_path):
    return Store(str(tmp_path))


def record(**changes):
    row = dict.fromkeys(RESULTS, "x") | {"fraction": 0.5, "value": 1 / 3}
    results = pd.DataFrame([row | {"seed": 1, "mark": 1, "k": 10, "n": 3}])
    fields = {
        "settings": {"dataset": {"name": "planted"}, "seed": 1},
        "results": results,
        "costs": results.assign(metric="seconds_train"),
        "log": [{"event": "start", "loss": np.float64(0.5)}, {"event": "end"}],
        "weights": {"1": "f" * 64},
        "facts": {"task": "cf", "num": np.int64(3)},
    }
    return CellRecord(**(fields | changes))


def prepared():
    columns = {
        "user": np.array([0, 0, 1]),
        "sequence": np.array([0, 0, 1]),
        "step": np.array([0, 1, 0]),
        "item": np.array([1, 0, 1]),
        "time": np.array([10, 20, 2**40]),
    }
    return Prepared(
        dataset="planted",
        task="cf",
        interactions=Interactions.prepared(columns),
        split=Split(np.array([0, 2, 0], np.int8)),
        vocabulary=Vocabulary(("u", "v"), ("i", "j"), ("s", "t")),
        catalogue=Catalogue(("Ä", "b"), {"health": np.array([True, False])}),
    )


def test_a_cell_comes_back(store):
    assert not store.has_cell(KEY)
    assert store.put_cell(KEY, record())
    assert store.has_cell(KEY)
    assert store.settings(KEY) == {"dataset": {"name": "planted"}, "seed": 1}
    assert store.log(KEY) == [{"event": "start", "loss": 0.5}, {"event": "end"}]
    pd.testing.assert_frame_equal(store.table(KEY, "results"), record().results, check_dtype=False)
    assert store.table(KEY, "costs")["metric"].tolist() == ["seconds_train"]
    assert tuple(store.table(KEY, "requests").columns) == REQUESTS
    assert tuple(store.table(KEY, "ranked").columns) == RANKED
    manifest = store.manifest(KEY)
    assert manifest["key"] == KEY
    assert manifest["weights"] == {"1": "f" * 64}
    assert manifest["facts"] == {"task": "cf", "num": 3}
    tables = {f"{name}.parquet" for name in TABLES}
    assert set(manifest["files"]) == {"settings.yaml", "log.jsonl"} | tables


def test_a_second_record_of_a_cell_changes_nothing(store):
    assert store.put_cell(KEY, record())
    before = store.manifest(KEY)
    assert not store.put_cell(KEY, record(facts={"task": "other"}))
    assert store.manifest(KEY) == before


def test_equal_results_have_equal_bytes_in_two_stores(tmp_path):
    paths = []
    for name in ("one", "two"):
        Store(str(tmp_path / name)).put_cell(KEY, record())
        paths.append(tmp_path / name / "cells" / "ab" / KEY / "results.parquet")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_cell_without_tables_is_fine(store):
    store.put_cell(KEY, CellRecord(settings={}))
    assert [len(store.table(KEY, name)) for name in TABLES] == [0, 0, 0, 0]
    assert store.log(KEY) == []


def test_done_cells_are_those_with_a_manifest(store):
    assert store.done_cells() == set()
    keys = {f"{number:02x}" + "0" * 62 for number in range(5)}
    for key in keys:
        store.put_cell(key, CellRecord(settings={}))
    store._blobs.write("cells/ff/ffff/results.parquet", b"half a cell")
    store._blobs.write("cells/ff/manifest.json", b"in the wrong place")
    assert store.done_cells() == keys


def test_tables_of_many_cells_are_stacked_in_order(store):
    keys = [f"{number:02x}" + "0" * 62 for number in (3, 1, 2)]
    for key in keys:
        store.put_cell(key, record(results=record().results.assign(cell=key)))
    store.put_cell(KEY, CellRecord(settings={}))
    assert store.gather([KEY, *keys], "results")["cell"].tolist() == keys
    assert tuple(store.gather([], "results").columns) == RESULTS


def test_a_table_that_does_not_fit_leaves_nothing(local, tmp_path):
    with pytest.raises(StoreError, match="table 'results' lacks the columns"):
        local.put_cell(KEY, record(results=pd.DataFrame({"task": ["cf"]})))
    assert list(tmp_path.iterdir()) == []


def test_unknown_tables_and_cells_are_named(store):
    with pytest.raises(StoreError, match=rf"^cells/ab/{KEY} is not at .*; it has to be run first$"):
        store.table(KEY, "results")
    known = "Known: results, costs, requests, ranked, observed"
    with pytest.raises(StoreError, match=f"^no table is called 'result'. {known}$"):
        store.table(KEY, "result")


def test_a_changed_table_is_refused(local, tmp_path):
    local.put_cell(KEY, record())
    path = tmp_path / "cells" / "ab" / KEY / "results.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=rf"^cells/ab/{KEY}/results.parquet at .* Delete the fold"):
        local.table(KEY, "results")
    assert len(local.table(KEY, "costs")) == 1


def test_prepared_data_comes_back(store):
    assert not store.has_data("planted", KEY)
    assert store.put_data(prepared(), KEY)
    assert store.has_data("planted", KEY)
    assert not store.put_data(prepared(), KEY)
    back = store.get_data("planted", KEY)
    assert (back.dataset, back.task) == ("planted", "cf")
    for name, column in prepared().interactions.columns():
        assert np.array_equal(getattr(back.interactions, name), column)
    assert back.split.marks.tolist() == [0, 2, 0]
    assert back.vocabulary.sequences == ("s", "t")
    assert back.catalogue.labels == ("Ä", "b")
    assert back.catalogue.members("health").tolist() == [True, False]


def test_the_manifest_of_data_tells_sizes_and_split(local, tmp_path):
    local.put_data(prepared(), KEY)
    manifest = local.data_manifest("planted", KEY)
    assert {name: manifest[f"num_{name}"] for name in ("rows", "users", "items", "sequences")} == {
        "rows": 3,
        "users": 2,
        "items": 2,
        "sequences": 2,
    }
    assert manifest["split_hash"] == prepared().split.hash
    assert {path.name for path in (tmp_path / "data" / "planted" / KEY).iterdir()} == {
        "interactions.parquet",
        "split.parquet",
        "vocabulary.parquet",
        "catalogue.parquet",
        "manifest.json",
    }


def test_missing_and_damaged_data_are_named(local, tmp_path):
    with pytest.raises(StoreError, match=rf"^data/planted/{KEY} is not at {tmp_path}"):
        local.get_data("planted", KEY)
    local.put_data(prepared(), KEY)
    (tmp_path / "data" / "planted" / KEY / "split.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match=r"split.parquet at .* is missing or not what was comm"):
        local.get_data("planted", KEY)


def test_files_of_a_run(store):
    assert store.runs() == []
    assert store.get_run("r1", "plan.json") is None
    store.put_run("r1", "plan.json", "{}")
    store.put_run("r1", "plan.json", '{"cells": 3}')
    store.put_run("r2", "report/figure.png", b"\x89PNG")
    assert store.get_run("r1", "plan.json") == '{"cells": 3}'
    assert store.runs() == ["r1", "r2"]


def test_every_writer_has_its_own_stream_of_events(store):
    assert store.events("r1") == []
    store.append_event("r1", "a", {"n": 1})
    store.append_event("r1", "b", {"n": 2})
    store.append_event("r1", "a", {"n": 3})
    assert store.events("r1") == [{"n": 1}, {"n": 3}, {"n": 2}]
    names = store._blobs.names("runs/r1/events")
    assert names == ["runs/r1/events/a.jsonl", "runs/r1/events/b.jsonl"]


def test_a_stream_that_is_opened_again_goes_on_in_a_new_file(store):
    store.append_event("r1", "a", {"n": 1})
    again = pickle.loads(pickle.dumps(Store(store.child("").rstrip("/"))))
    again.append_event("r1", "a", {"n": 2})
    assert again._blobs.names("runs/r1") == ["runs/r1/events/a-1.jsonl", "runs/r1/events/a.jsonl"]
    assert sorted(event["n"] for event in again.events("r1")) == [1, 2]


def test_long_streams_go_on_in_a_new_file(store, monkeypatch):
    monkeypatch.setattr(_events, "CHUNK_BYTES", 30)
    for number in range(5):
        store.append_event("r1", "a", {"number": number})
    assert len(store._blobs.names("runs/r1/events")) == 3
    assert sorted(event["number"] for event in store.events("r1")) == [0, 1, 2, 3, 4]


def test_an_unfinished_line_is_passed_over(local, tmp_path):
    local.append_event("r1", "a", {"n": 1})
    with (tmp_path / "runs/r1/events/a.jsonl").open("a") as file:
        file.write('{"n": ')
    assert local.events("r1") == [{"n": 1}]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../b", ".hidden", "", "a b", "a//b"])
def test_names_that_lead_elsewhere_are_refused(local, name):
    message = "cannot name a file of the store; expected letters, digits and _ . = [+] -, not begin"
    with pytest.raises(StoreError, match=message):
        local.put_run("r1", name, "text")
    with pytest.raises(StoreError, match=message):
        local.has_cell(name)
    with pytest.raises(StoreError, match=message):
        local.append_event("r1", name, {})


def test_secrets_reach_no_file(local, tmp_path):
    secret = "s3://user:hunter2@bucket/x?token=hunter2&part=1"
    settings = {"path": secret, "quoted": 'a "s3://user:hunter2@b/c?secret_key=hunter2"'}
    local.put_cell(KEY, record(settings=settings, log=[{"at": [secret]}], facts={"at": secret}))
    local.put_run("r1", "status.json", secret)
    local.append_event("r1", "a", {"at": secret})
    texts = [path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if "hunter2" in text]
    clean = "s3://bucket/x?token=***&part=1"
    assert local.settings(KEY) == {"path": clean, "quoted": 'a "s3://b/c?secret_key=***"'}
    assert local.log(KEY) == [{"at": [clean]}]
    assert local.get_run("r1", "status.json") == clean


def test_weights_pass_through(store):
    base = store.put_weights({"w": torch.arange(100.0)})
    child = store.put_weights({"w": torch.arange(100.0).index_fill(0, torch.tensor(3), -1)}, base)
    assert store.get_weights(child)["w"][2:5].tolist() == [2.0, -1.0, 4.0]
    assert len(store._blobs.names("weights")) == 2


def test_manifests_are_json_for_people(local, tmp_path):
    local.put_cell(KEY, record())
    text = (tmp_path / "cells" / "ab" / KEY / "manifest.json").read_text()
    assert json.loads(text)["format"] == 1
    assert text.count("\n") > 20
