import json
import shutil
import tarfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment.results import REQUESTS
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.submission.manifest import About
from erase_ray.submission.opened import opened
from erase_ray.submission.pack import Choice, submit
from erase_ray.submission.submitted import Submitted
from tests.unit.submission.submission_toys import RUN

ABOUT = About(title="T", who="A. Lee", contact="ann@uni-x.org", licence="CC-BY-4.0", when="today")


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_the_same_store_gives_the_same_archive_and_folder(store, tmp_path):
    for name in ("a.tar.gz", "b.tgz", "c"):
        submit(store.uri, tmp_path / name, ABOUT)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar.gz", "b.tgz", "c"}
    with opened(tmp_path / "a.tar.gz") as archive, opened(tmp_path / "c") as folder:
        assert archive.manifest == folder.manifest
        assert names(archive.folder) == names(folder.folder)
        for name in names(archive.folder):
            assert (archive.folder / name).read_bytes() == (folder.folder / name).read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        members = tar.getmembers()
    assert {member.mtime for member in members} == {0}
    assert {(member.uid, member.uname, member.mode) for member in members} == {(0, "", 0o644)}


def test_files_are_those_of_the_store_without_data(store, tmp_path):
    manifest = submit(store.uri, tmp_path / "s", About())
    there = names(tmp_path / "s")
    assert there == {*manifest.files, "manifest.json"}
    assert {name.split("/")[0] for name in manifest.files} == {"cells", "runs"}
    for name in there - {"manifest.json"}:
        data = (tmp_path / "s" / name).read_bytes()
        assert manifest.files[name].size == len(data)
        if not name.startswith("runs"):
            assert data == Path(store.uri, name).read_bytes()
    assert {cell.key for cell in manifest.cells} == store.done_cells()


def test_the_manifest_says_who_and_how(store, tmp_path):
    manifest = submit(store.uri, tmp_path / "s", ABOUT)
    assert manifest == type(manifest)(**json.loads((tmp_path / "s/manifest.json").read_text()))
    assert manifest.about == ABOUT
    assert manifest.stripped == []
    assert manifest.environment["packages"]["numpy"] == version("numpy")
    assert manifest.environment["packages"]["erase-ray"] == version("erase-ray")
    for cell in manifest.cells:
        assert cell.settings == store.settings(cell.key)
        assert cell.versions == store.manifest(cell.key)["versions"]
        assert cell.device == "cpu"
    created = max(store.manifest(key)["created"] for key in store.done_cells())
    assert submit(store.uri, tmp_path / "d", About()).about.when == created[:10]


def test_cells_that_are_not_there_are_told_by_name(store, tmp_path):
    manifest = submit(store.uri, tmp_path / "s", About(), Choice(only="method=none"))
    assert [cell.label for cell in manifest.cells] == ["planted:cf/bpr/none/s2"]
    told = {(cell.label, cell.state, cell.error) for cell in manifest.absent()}
    start = "planted:cf/bpr/"
    assert told == {
        (f"{start}base/s2", "left out", ""),
        (f"{start}original/s2", "left out", ""),
        (f"{start}retrain@1/s2", "left out", ""),
        (f"{start}retrain@2/s2", "left out", ""),
        (f"{start}retrain@3/s2", "failed", "OSError: no /home/***/disk"),
        (f"{start}retrain@4/s2", "missing", ""),
    }
    assert manifest.runs[RUN].num_cells == 7


def test_finished_cells_outside_of_the_run_are_told_too(store, tmp_path):
    other = Store(str(tmp_path / "runs"))
    record = CellRecord(store.settings(next(iter(store.done_cells()))))
    for key in ("ab" * 32, "cd" * 32):
        other.put_cell(key, record)
    node = {"key": "ab" * 32, "kind": "base", "label": "x"}
    other.put_run("one", "plan.json", json.dumps({"nodes": [node]}))
    manifest = submit(other.uri, tmp_path / "s", About(), Choice(run="one"))
    assert [cell.key for cell in manifest.cells] == ["ab" * 32]
    assert [(cell.key, cell.state) for cell in manifest.left_out] == [("cd" * 32, "left out")]


def test_weights_come_with_those_that_they_are_differences_from(tmp_path):
    store = Store(str(tmp_path / "runs"))
    table = torch.arange(8000.0).reshape(2000, 4)
    base = store.put_weights({"w": table})
    changed = store.put_weights({"w": torch.where(table == 17, 0.0, table)}, base)
    settings = {"method": {"name": "scif", "settings": {}}, "seed": 1}
    settings |= {name: {"name": "x", "settings": {}} for name in ("dataset", "model")}
    store.put_cell("ab" * 32, CellRecord(settings, weights={"1": changed}))
    manifest = submit(store.uri, tmp_path / "s", About(), Choice(has_weights=True))
    assert manifest.has_weights
    assert {f"weights/{base}", f"weights/{changed}"} <= set(manifest.files)
    packed = Submitted(tmp_path / "s").get_weights(changed)
    assert torch.equal(packed["w"], store.get_weights(changed)["w"])
    assert packed["w"][4, 1] == 0


def test_nothing_is_written_over_and_a_failure_leaves_nothing(store, tmp_path):
    (tmp_path / "s").mkdir()
    with pytest.raises(StoreError, match=r"s exists; name another file or folder, or delete it"):
        submit(store.uri, tmp_path / "s", About())
    shutil.copytree(store.uri, tmp_path / "damaged")
    next((tmp_path / "damaged").rglob("requests.parquet")).write_bytes(b"x")
    with pytest.raises(StoreError, match=r"requests.parquet at .* is missing or not what was"):
        submit(str(tmp_path / "damaged"), tmp_path / "new.tar.gz", About())
    assert {path.name for path in tmp_path.iterdir()} == {"s", "damaged"}
    with pytest.raises(SettingsError, match="no finished cell to submit at"):
        submit(str(tmp_path / "s"), tmp_path / "new", About())


SECRETS = {
    "pa55word": "s3://me:pa55word@bucket/x",
    "AKIAABCDEFGHIJKLMNOP": "id AKIAABCDEFGHIJKLMNOP",
    "wJalrXUtnFEMI": "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI",
    "annlee": "/home/annlee/data/x.csv",
    "ann@uni-x.org": "ask ann@uni-x.org",
    "s3cr3tvalue": "key s3cr3tvalue of the environment",
}
KEY = "ab" * 32


def planted(folder, monkeypatch, **settings):
    """A store with secrets in log, requests, facts, plan and status."""
    monkeypatch.setenv("MY_API_KEY", "s3cr3tvalue")
    texts = list(SECRETS.values())
    store = Store(str(folder))
    row = dict.fromkeys(REQUESTS, 0) | {"status": "skipped", "details": "{}"}
    requests = pd.DataFrame([row | {"reason": text} for text in texts], columns=list(REQUESTS))
    whole = {name: {"name": "x", "settings": {}} for name in ("dataset", "model", "method")}
    record = CellRecord(
        whole | {"seed": 1} | settings,
        requests=requests,
        log=[{"event": "x", "text": text} for text in texts] + [{"password": "pa55word"}],
        facts={"label": "/home/annlee/x/bpr/s1", "note": texts},
    )
    store.put_cell(KEY, record)
    node = {"key": KEY, "kind": "base", "label": texts[3]}
    lost = {"key": "cd" * 32, "kind": "scif", "label": texts[4]}
    store.put_run("r", "plan.json", json.dumps({"nodes": [node, lost], "about": texts}))
    failed = {"key": lost["key"], "label": lost["label"], "error": " ".join(texts)}
    store.put_run("r", "status.json", json.dumps({"failed": [failed]}))
    return store


def content(path):
    """All that a file says, tables in plain text."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return f"{table.to_pydict()} {table.schema.metadata}"
    return path.read_text()


def test_no_secret_gets_into_a_submission(tmp_path, monkeypatch):
    store = planted(tmp_path / "runs", monkeypatch)
    manifest = submit(store.uri, tmp_path / "s", About())
    files = {p.relative_to(tmp_path / "s").as_posix(): p for p in (tmp_path / "s").rglob("*.*")}
    whole = "\n".join(content(path) for path in files.values() if path.is_file())
    for secret in (*SECRETS, "me:pa"):
        assert secret not in whole, secret
    folder = f"cells/{KEY[:2]}/{KEY}"
    assert {one.file for one in manifest.stripped} == {
        f"{folder}/log.jsonl",
        f"{folder}/manifest.json",
        f"{folder}/requests.parquet",
        "runs/r/plan.json",
    }
    assert sum(manifest.stripped[0].found.values()) >= len(SECRETS) - 1
    kept = Submitted(tmp_path / "s")
    assert len(kept.log(KEY)) == len(SECRETS) + 1
    assert kept.table(KEY, "requests")["reason"][1] == "id ***"
    assert kept.table(KEY, "requests")["num_rows"].tolist() == [0] * len(SECRETS)
    assert [cell.error for cell in manifest.absent() if cell.state == "failed"] != [""]


def test_secrets_in_what_the_key_depends_on_are_refused(tmp_path, monkeypatch):
    own = {"dataset": {"name": "table", "settings": {"interactions": "/home/annlee/x.inter"}}}
    store = planted(tmp_path / "runs", monkeypatch, **own)
    with pytest.raises(StoreError) as caught:
        submit(store.uri, tmp_path / "s", About())
    text = str(caught.value)
    assert f"cells/{KEY[:2]}/{KEY}/settings.yaml" in text
    assert "holds what must not be published: user name in a path (1)" in text
    assert "leave the cell out with --only" in text
    assert "annlee/x.inter" not in text
    assert not (tmp_path / "s").exists()
