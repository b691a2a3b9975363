"""Raw files in a folder: where they are looked for, and what is said of missing ones."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import ClassVar

import pytest

from erase_ray.datasets import About, Dataset, RawFile, Source
from erase_ray.datasets._fetch import raw_files
from erase_ray.datasets._own_files import check_downloads, find_files, missing_files, own_folders
from erase_ray.errors import FetchError

PAGE = "https://example.org/page"
FILES = (
    RawFile("relations/sessions.idomaar", "sessions", "about 1 GB"),
    RawFile("plays.csv.gz", "plays", address="https://example.org/plays.csv.gz"),
    RawFile("tags.csv", "tags", optional=True),
)


class Toy(Dataset):
    """Only its facts matter."""

    name: ClassVar[str] = "toy"
    about: ClassVar[About | None] = About("", "", "", PAGE, FILES)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ERASE_RAY_CACHE", raising=False)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.mark.parametrize(
    "name",
    ["sessions.idomaar", "relations/sessions.idomaar", "sessions.idomaar.gz",
     "relations/sessions.idomaar.gz"],
)  # fmt: skip
def test_by_path_or_base_name_packed_or_not(tmp_path, name):
    put(tmp_path, name)
    assert find_files(FILES, tmp_path) == {"relations/sessions.idomaar": tmp_path / name}
    assert find_files(FILES, tmp_path / name) == {"relations/sessions.idomaar": tmp_path / name}


@pytest.mark.parametrize("name", ["plays.csv", "plays.csv.gz"])
def test_a_name_that_is_packed_itself(tmp_path, name):
    put(tmp_path, name)
    assert find_files(FILES, tmp_path) == {"plays.csv": tmp_path / name}


def test_the_full_path_comes_first(tmp_path):
    put(tmp_path, "sessions.idomaar", "relations/sessions.idomaar.gz")
    found = find_files(FILES, tmp_path)["relations/sessions.idomaar"]
    assert found == tmp_path / "relations/sessions.idomaar.gz"


def test_what_is_missing(tmp_path):
    assert missing_files(FILES, {}) == [FILES[0], FILES[1]]
    assert missing_files(FILES, {"plays.csv": tmp_path}) == [FILES[0]]
    editions = (RawFile("a", "A", optional=True), RawFile("b", "B", optional=True))
    assert missing_files(editions, {}) == list(editions)
    assert missing_files(editions, {"b": tmp_path}) == []
    assert missing_files((), {}) == []


def test_every_missing_file_is_named_with_its_address(tmp_path):
    with pytest.raises(FetchError) as caught:
        raw_files(Toy, tmp_path / "cache", tmp_path)
    assert str(caught.value) == (
        f"toy lacks 2 of its raw files in {tmp_path}: relations/sessions.idomaar (about 1 GB), "
        f"plays.csv.gz (https://example.org/plays.csv.gz). Download page: {PAGE}; 'erase-ray "
        "datasets fetch toy' says more"
    )
    with pytest.raises(FetchError, match=rf"lacks 2 .* in {tmp_path}/cache/raw/toy: "):
        raw_files(Toy, tmp_path / "cache")


def test_the_users_folder_comes_before_the_caches(tmp_path):
    put(tmp_path / "home/erase_ray/raw/toy", "sessions.idomaar", "plays.csv", "tags.csv")
    put(tmp_path / "cache/raw/toy", "plays.csv", "tags.csv")
    put(tmp_path / "mine", "tags.csv")
    assert raw_files(Toy, tmp_path / "cache", tmp_path / "mine") == {
        "relations/sessions.idomaar": tmp_path / "home/erase_ray/raw/toy/sessions.idomaar",
        "plays.csv": tmp_path / "cache/raw/toy/plays.csv",
        "tags.csv": tmp_path / "mine/tags.csv",
    }


def test_a_shared_cache_has_no_files_of_its_own(tmp_path):
    assert own_folders("memory://bucket/data", "toy") == [tmp_path / "home/erase_ray/raw/toy"]
    assert own_folders(tmp_path, "toy")[0] == tmp_path / "raw/toy"


def downloaded(folder: Path, name: str, data: bytes) -> None:
    put(folder, name)
    (folder / name).write_bytes(data)
    facts = {"address": PAGE, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    (folder / "downloads.json").write_text(json.dumps({name: facts | {"when": ""}}))


def test_a_download_that_has_changed_since(tmp_path):
    folder = tmp_path / "cache/raw/toy"
    downloaded(folder, "plays.csv.gz", gzip.compress(b"plays"))
    put(folder, "sessions.idomaar")
    assert len(raw_files(Toy, tmp_path / "cache")) == 2
    (folder / "plays.csv.gz").write_bytes(b"other")
    with pytest.raises(FetchError, match=r"plays.csv.gz has changed since it was downloaded: .*; "):
        raw_files(Toy, tmp_path / "cache")


def test_a_damaged_record(tmp_path):
    (tmp_path / "downloads.json").write_text("[]")
    with pytest.raises(FetchError, match=r"downloads.json is damaged; delete it and fetch again"):
        check_downloads(tmp_path, [])


def with_source(source: Source) -> type[Dataset]:
    return type("Both", (Toy,), {"sources": (source,)})


def test_the_users_other_edition_is_enough_without_any_fetching(tmp_path):
    kind = with_source(Source("http://127.0.0.1:1/a.zip", "0" * 64, {"a/one.txt": "0" * 64}))
    put(tmp_path / "mine", "sessions.idomaar", "plays.csv")
    found = raw_files(kind, tmp_path / "cache", tmp_path / "mine")
    assert set(found) == {"relations/sessions.idomaar", "plays.csv"}
    (tmp_path / "mine/plays.csv").unlink()
    with pytest.raises(FetchError, match=r"cannot fetch one.txt; tried .*cannot connect"):
        raw_files(kind, tmp_path / "cache", tmp_path / "mine")


def test_listed_members_of_a_source_are_verified(tmp_path):
    listed = About("", "", "", PAGE, (RawFile("one.txt", "one"),))
    source = Source(
        "http://127.0.0.1:1/a.zip", "0" * 64, {"a/one.txt": hashlib.sha256(b"1").hexdigest()}
    )
    kind = type("Verified", (Toy,), {"sources": (source,), "about": listed})
    put(tmp_path, "one.txt")
    with pytest.raises(FetchError, match=r"checksum of one.txt \(7 bytes\) is "):
        raw_files(kind, tmp_path / "cache", tmp_path)
    (tmp_path / "one.txt").write_bytes(b"1")
    assert raw_files(kind, tmp_path / "cache", tmp_path) == {"one.txt": tmp_path / "one.txt"}


def test_files_that_settings_name(tmp_path, monkeypatch):
    kind = type("Own", (Toy,), {"about": None})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FetchError, match=r"toy lacks 1 .* in .*: my\.csv \(x\)\. Give the folder "):
        raw_files(kind, tmp_path, None, (RawFile("my.csv", "mine", "x"),))
    put(tmp_path, "my.csv")
    found = raw_files(kind, tmp_path, None, (RawFile("my.csv", "mine", "x"),))
    assert found == {"my.csv": Path("my.csv")}
