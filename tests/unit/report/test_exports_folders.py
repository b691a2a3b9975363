"""Weights, ranked lists and results as folders of files, read by what others read them with."""

import json
from urllib.parse import unquote

import ir_measures
import pandas as pd
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
import yaml
from ir_measures import P, R, Success, nDCG
from stored_toys import put

from erase_ray.data.vocabulary import Vocabulary
from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment.plain_weights import read_plain
from erase_ray.experiment.results import REQUESTS, RESULTS
from erase_ray.experiment.store import Store
from erase_ray.report.exports import FOLDERS, Exported, export
from erase_ray.report.glossary import COLUMNS
from tests.unit.experiment.recompute_toys import finished
from tests.unit.submission.submission_toys import filled


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("runs"))


def key_of(store, method, mark=None):
    for key in store.done_cells():
        settings = store.settings(key)
        if (settings["method"]["name"], settings["mark"]) == (method, mark):
            return key
    raise AssertionError(method)


def same_bits(left, right):
    assert sorted(left) == sorted(right)
    for name in left:
        bits = (t[name].contiguous().reshape(-1).view(torch.uint8) for t in (left, right))
        assert torch.equal(*bits)


def test_weights_come_out_bit_for_bit(store, tmp_path):
    assert export(store, "safetensors", str(tmp_path)) == Exported(5, 0, 0)
    paths = {path.parent.relative_to(tmp_path) for path in tmp_path.rglob("model.json")}
    assert sorted(str(path.parent.parent.parent) for path in paths) == [
        "planted-cf/bpr/base",
        *["planted-cf/bpr/none"] * 4,
        "planted-cf/bpr/original",
        "planted-cf/bpr/retrain@1",
        "planted-cf/bpr/retrain@2",
    ]
    key = key_of(store, "none")
    data = store.get_data("planted", store.manifest(key)["facts"]["data_key"])
    for mark, sha in store.manifest(key)["weights"].items():
        folder = tmp_path / "planted-cf/bpr/none/s2" / key[:12] / f"mark-{mark}"
        plain = read_plain(folder)
        same_bits(plain.build().state_dict(), store.get_weights(sha))
        same_bits(safetensors.torch.load_file(folder / "model.safetensors"), plain.state)
        assert plain.facts.source == {
            "store": store.uri,
            "cell": key,
            "label": "planted:cf/bpr/none/s2",
            "method": "none",
            "mark": int(mark),
            "weights": sha,
        }
        assert plain.vocabulary is not None
        assert list(plain.vocabulary["user"]) == list(data.vocabulary.users)
        assert list(plain.vocabulary["item"]) == list(data.vocabulary.items)


def test_weights_that_are_there_are_left_alone_and_only_narrows_marks(store, tmp_path):
    out = str(tmp_path)
    assert export(store, "safetensors", out, only="method=none,mark=4").new == 1
    (folder,) = tmp_path.rglob("mark-*")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert export(store, "safetensors", out, only="method=none") == Exported(1, 0, 0)
    assert export(store, "safetensors", out, only="method=none") == Exported(0, 1, 0)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert sorted(path.name for path in tmp_path.rglob("mark-*")) == [
        f"mark-{n}" for n in range(1, 5)
    ]
    facts = json.loads((folder / "model.json").read_text())
    facts["source"]["weights"] = "0" * 64
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(StoreError, match="mark-4 holds other weights; delete it, or name another"):
        export(store, "safetensors", out)


def test_made_up_people_have_weights_and_no_outer_id(tmp_path):
    store, cell = finished("spam", tmp_path / "runs")
    export(store, "safetensors", str(tmp_path / "out"), only="method=none,mark=4")
    (folder,) = (tmp_path / "out").rglob("mark-4")
    plain = read_plain(folder)
    data = store.get_data("planted", cell.data_key)
    assert plain.facts.shape.num_users > data.interactions.num_users
    assert plain.vocabulary is not None
    assert len(plain.vocabulary["user"]) == data.interactions.num_users
    plain.build()


def test_cells_of_another_version_are_passed_over(tmp_path):
    store = Store(str(tmp_path / "runs"))
    put(store)
    assert export(store, "safetensors", str(tmp_path / "out")).skipped == {
        "made by another version": 1
    }


THEIRS = {"ndcg": nDCG, "recall": R}


def measured(folder, out, about):
    """The mean of each measure over all that are judged, by metric and cut-off."""
    run = list(ir_measures.read_trec_run(str(folder / about["run"])))
    judged = list(ir_measures.read_trec_qrels(str(out / about["qrels"])))
    asked = [m @ k for m in (nDCG, R, P, Success) for k in (10, 20)]
    found = ir_measures.calc_aggregate(asked, judged, run)
    return (
        {(type(m).__name__, m.params["cutoff"]): value for m, value in found.items()},
        run,
        judged,
    )


@pytest.mark.parametrize("model", ["bpr", "gru4rec", "sets2sets"])
def test_other_libraries_find_our_numbers_in_the_lists(model, tmp_path):
    store, cell = finished("sensitive", tmp_path / "runs", model)
    assert export(store, "trec", str(tmp_path / "out")).new == 1
    results = store.table(cell.key, "results").set_index(["metric", "k", "mark"])["value"]
    folders = sorted((tmp_path / "out").rglob("mark-*"))
    assert [folder.name for folder in folders] == [f"mark-{n}" for n in range(1, 5)]
    for mark, folder in enumerate(folders, 1):
        about = json.loads((folder / "about.json").read_text())
        assert about["settings"] == store.settings(cell.key)
        tests = next(run for run in about["runs"] if run["asks"] == "test")
        found, run, _ = measured(folder, tmp_path / "out", tests)
        for metric, theirs in THEIRS.items():
            for k in (10, 20):
                ours = results[metric, k, mark]
                assert found[type(theirs).__name__, k] == pytest.approx(ours, abs=1e-9)
                assert 0 < ours < 1
        scores = pd.DataFrame(run).groupby("query_id")["score"]
        assert scores.apply(lambda s: s.is_monotonic_decreasing and s.is_unique).all()


def test_runs_of_probes_judge_the_items_whose_exposure_counts(store, tmp_path):
    export(store, "trec", str(tmp_path), only="method=none,mark=4")
    (folder,) = tmp_path.rglob("mark-4")
    about = json.loads((folder / "about.json").read_text())
    probes = next(run for run in about["runs"] if run["asks"] == "probe")
    _, run, judged = measured(folder, tmp_path, probes)
    key = key_of(store, "none")
    results = store.table(key, "results").set_index(["metric", "k", "mark"])["value"]
    asked = {line.query_id for line in run}
    seen = {line.query_id for line in judged}
    assert len(seen) / len(asked) == pytest.approx(results["sensitive_share", 20, 4])
    assert len(judged) / len(asked) == pytest.approx(results["sensitive_count", 20, 4])


def test_the_lists_are_those_of_the_store_with_outer_ids(store, tmp_path):
    export(store, "trec", str(tmp_path))
    key = key_of(store, "original")
    folder = tmp_path / "planted-cf/bpr/original/s2" / key[:12]
    lines = [line.split(" ") for line in (folder / "mark-2/test.run").read_text().splitlines()]
    names = store.get_data("planted", store.manifest(key)["facts"]["data_key"]).vocabulary
    ranked = store.table(key, "ranked").query("mark == 2 and asks == 'test'")
    expected = [
        [
            names.users[user],
            "Q0",
            names.items[item],
            str(rank),
            str(21 - rank),
            "bpr.original.s2.m2",
        ]
        for user, items in zip(ranked["user"], ranked["items"], strict=True)
        for rank, item in enumerate(items, 1)
    ]
    assert lines == expected
    kinds = {path.name.split("-")[0] for path in (tmp_path / "qrels").iterdir()}
    assert kinds == {"test", "probe"}
    assert len(list((tmp_path / "qrels").glob("test-*"))) == 1
    assert export(store, "trec", str(tmp_path)) == Exported(0, 4, 0, {"without ranked lists": 1})


def test_ids_with_blanks_are_encoded(monkeypatch):
    from erase_ray.report.exports import to_trec

    outer = ["a b", "ü:1", "100%", "plain-1.x_y~"]
    names = Vocabulary(outer, outer, [])  # type: ignore[arg-type]
    users, _ = to_trec._outer_names(names)
    assert users == ["a%20b", "%C3%BC%3A1", "100%25", "plain-1.x_y~"]
    assert [unquote(name) for name in users] == outer


def test_a_dataset_folder_has_a_card_and_typed_tables(store, tmp_path):
    done = export(store, "huggingface", str(tmp_path / "hf"), licence="cc-by-4.0")
    assert done == Exported(5, 0, 0)
    text = (tmp_path / "hf" / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    head = yaml.safe_load(front)
    assert head["license"] == "cc-by-4.0"
    assert head["pretty_name"] == "ERASE results: r1"
    assert head["size_categories"] == ["n<1K"]
    assert head["language"] == ["en"]
    tables = {}
    for config in head["configs"]:
        path = tmp_path / "hf" / config["data_files"]
        tables[config["config_name"]] = pq.read_table(path)
    assert list(tables) == ["results", "requests", "costs", "cells"]
    assert [c["config_name"] for c in head["configs"] if c.get("default")] == ["results"]
    keys = tables["cells"]["cell"].to_pylist()
    assert set(keys) == store.done_cells()
    assert tables["results"].to_pandas().equals(store.gather(keys, "results"))
    assert tables["requests"].num_rows == len(store.gather(keys, "requests"))
    settings = [json.loads(text) for text in tables["cells"]["settings"].to_pylist()]
    assert settings == [store.settings(key) for key in keys]
    for table in tables.values():
        for field in table.schema:
            assert f"| `{field.name}` | {field.type} | {COLUMNS[field.name]} |" in body
    versions = store.manifest(keys[0])["versions"]
    assert f"| torch | {versions['torch']} |" in body
    assert "| planted | bpr | 5 | base, none, original, retrain | 2 |" in body
    assert "| `recall` | share | up | active, inactive, others, popular, requesters, tail |" in body


def test_the_same_results_give_the_same_dataset_and_more_are_added(store, tmp_path):
    out = tmp_path / "hf"
    export(store, "huggingface", str(out), only="method=original")
    (out / ".git").mkdir()
    assert export(store, "huggingface", str(out)) == Exported(4, 1, 0)
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    assert export(store, "huggingface", str(out)) == Exported(0, 5, 0)
    assert {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()} == before
    assert {path.name for path in before} == {
        "README.md",
        *(f"{name}.parquet" for name in ("results", "requests", "costs", "cells")),
    }


def test_no_secret_gets_into_a_dataset(tmp_path):
    store = Store(str(tmp_path / "runs"))
    put(store, settings={"file": "/home/annlee/list.txt"})
    done = export(store, "huggingface", str(tmp_path / "hf"))
    assert done.stripped == {"user name in a path": 1}
    cells = pq.read_table(tmp_path / "hf/data/cells.parquet")
    assert "/home/***/list.txt" in cells["settings"][0].as_py()
    assert b"annlee" not in (tmp_path / "hf/README.md").read_bytes()


def test_folders_of_something_else_are_left_alone(store, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(StoreError, match="has files that no export has left; name an empty folder"):
        export(store, "huggingface", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt"}


@pytest.mark.parametrize("form", FOLDERS)
def test_mistakes_are_told(form, store, tmp_path):
    with pytest.raises(SettingsError, match="no finished cell to export at"):
        export(Store(str(tmp_path / "empty")), form, str(tmp_path / "out"))
    with pytest.raises(SettingsError, match=r"--only mark=7: "):
        export(store, form, str(tmp_path / "out"), only="mark=7")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write|has files"):
        export(store, form, str(tmp_path / "file" / "out"))


def test_every_column_is_explained():
    assert {*RESULTS, *REQUESTS} <= COLUMNS.keys()
    assert all(text.endswith(".") for text in COLUMNS.values())
