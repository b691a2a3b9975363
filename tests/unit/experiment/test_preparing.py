"""Preparing from raw files: what jobs and the command line share."""

import hashlib
from pathlib import Path

import pytest

from erase_ray.datasets import About, Dataset, RawData, RawFile
from erase_ray.datasets._base import DATASETS
from erase_ray.datasets.planted import Planted
from erase_ray.errors import FetchError, StoreError
from erase_ray.experiment.cell import Part, data_key
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.preparing import (
    Places,
    RawFiles,
    check_own_files,
    check_same_raw,
    find_raw,
    read_and_prepare,
)
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.store import Store
from tests.conftest import SCRATCH


class Recorded(Planted):
    """Planted data that wants a raw file, which decides how many users there are."""

    about = About("", "", "", "https://example.org", (RawFile("size.txt", "number of users"),))

    def read(self, files, scratch) -> RawData:
        users = int(files["size.txt"].read_text())
        return Planted(Planted.Settings(num_users=users)).read({}, scratch)


@pytest.fixture
def dataset(monkeypatch, tmp_path) -> Part:
    kind: type[Dataset] = Recorded
    kind.name = "recorded"
    monkeypatch.setitem(DATASETS._classes, "recorded", kind)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ERASE_RAY_RAW", raising=False)
    return Part.resolved(DATASETS, "recorded", {})


def raw_folder(tmp_path: Path, users: int = 60) -> Path:
    folder = tmp_path / f"raw{users}"
    folder.mkdir()
    (folder / "size.txt").write_text(str(users))
    return folder


def test_files_and_checksums(dataset, tmp_path):
    raw = find_raw(dataset, Places(tmp_path / "cache", raw_folder(tmp_path), SCRATCH))
    assert raw.files == {"size.txt": tmp_path / "raw60/size.txt"}
    assert raw.checksums == {"size.txt": hashlib.sha256(b"60").hexdigest()}
    assert raw.size_bytes == 2


def test_made_data_have_no_files(tmp_path):
    part = Part.resolved(DATASETS, "planted", {})
    assert find_raw(part, Places(tmp_path, None, SCRATCH)) == RawFiles({}, {})


def test_the_steps_are_told_and_the_checksums_kept(dataset, tmp_path):
    raw = find_raw(dataset, Places(tmp_path / "cache", raw_folder(tmp_path), SCRATCH))
    told: list[str] = []
    data = read_and_prepare(dataset, raw, SCRATCH, told.append)
    assert told == ["read and clean", "number, sort and split"]
    assert data.raw == raw.checksums
    assert data.interactions.num_users == 60


def test_a_job_finds_the_users_folder_and_records_the_files(dataset, tmp_path, monkeypatch):
    store = Store(str(tmp_path / "st"))
    with pytest.raises(FetchError, match=r"recorded lacks 1 of its raw files in .*/st/data/raw/"):
        prepare_data(dataset, store)
    monkeypatch.setenv("ERASE_RAY_RAW", str(raw_folder(tmp_path)))
    assert prepare_data(dataset, store)
    assert not prepare_data(dataset, store)
    key = data_key(dataset)
    known = store.data_manifest("recorded", key)["raw"]
    assert known == {"size.txt": hashlib.sha256(b"60").hexdigest()}
    assert store.data_keys("recorded") == [key]
    assert store.data_keys("other") == []


def test_what_was_made_from_other_files(dataset, tmp_path, monkeypatch):
    store, key = Store(str(tmp_path / "st")), data_key(dataset)
    monkeypatch.setenv("ERASE_RAY_RAW", str(raw_folder(tmp_path)))
    prepare_data(dataset, store)
    same = {"size.txt": hashlib.sha256(b"60").hexdigest()}
    check_same_raw(store, dataset, key, RawFiles({}, same))
    with pytest.raises(StoreError, match=r"other raw files: size.txt \(there .{12}, here 0{12}\)"):
        check_same_raw(store, dataset, key, RawFiles({}, {"size.txt": "0" * 64}))
    with pytest.raises(StoreError, match=r"other raw files: size\.txt there, none here"):
        check_same_raw(store, dataset, key, RawFiles({}, {}))


def test_dropping_data_takes_its_chains_along(dataset, tmp_path, monkeypatch):
    store, key = Store(str(tmp_path / "st")), data_key(dataset)
    monkeypatch.setenv("ERASE_RAY_RAW", str(raw_folder(tmp_path)))
    asks = [{"scenario": {"name": "account", "settings": {"num_users": 2}}, "seed": 2}]
    prepare_data(dataset, store, asks)
    folder = tmp_path / "st/data/recorded" / key
    assert any((folder / "chains").rglob("manifest.json"))
    store.drop_data("recorded", key)
    assert not store.has_data("recorded", key)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def table_part(path: Path, **settings) -> Part:
    settings = {
        "interactions": str(path),
        "columns": {"user": "u", "item": "i", "time": "t"},
    } | settings
    return Part.resolved(DATASETS, "table", settings)


def test_a_table_that_has_changed_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setenv("ERASE_RAY_CACHE", str(tmp_path / "cache"))
    path, store = tmp_path / "own.csv", Store(str(tmp_path / "store"))
    lines = "".join(f"{u},{i},{i}\n" for u in range(9) for i in range(u % 3, 9))
    path.write_text("u,i,t\n" + lines)
    part = table_part(path)
    prepare_data(part, store)

    def check(part: Part) -> None:
        cells = expand([Block(datasets=_choice(part), models="bpr", methods="original", **REST)])
        check_own_files(build(cells, store).nodes.values(), store)

    check(part)
    path.write_text("u,i,t\n" + lines + "9,1,1\n")
    with pytest.raises(StoreError, match=r"holds table .* made from other raw files: .*revision"):
        check(part)
    check(table_part(path, revision="2"))
    path.unlink()
    check(part)


REST = {"scenarios": "account", "seeds": [2]}


def _choice(part: Part) -> dict:
    return {part.name: part.settings}
