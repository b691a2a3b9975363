"""Archives that try to do more than to hold a submission."""

import gzip
import io
import json
import tarfile

import pytest

from erase_ray.errors import EraseError, StoreError
from erase_ray.submission.archive import TOP, unpack, write_archive
from erase_ray.submission.manifest import (
    KIND,
    SUBMISSION_FORMAT,
    About,
    File,
    Manifest,
    is_submission,
    parse_manifest,
)


def manifest(**sizes: int) -> Manifest:
    """Of files of these sizes."""
    return Manifest(
        format=SUBMISSION_FORMAT,
        kind=KIND,
        about=About(),
        environment={},
        runs={},
        cells=[],
        left_out=[],
        has_weights=False,
        stripped=[],
        files={name: File(sha256="0" * 64, size=size) for name, size in sizes.items()},
    )


def plain(name: str, data: bytes = b"abc") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def special(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def archive(path, said: Manifest, *members):
    head = plain(f"{TOP}/manifest.json", said.to_bytes())
    with tarfile.open(path, "w:gz") as tar:
        for info, data in (head, *members):
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    return folder


def test_what_was_packed_comes_out_again(tmp_path, place):
    source = tmp_path / "source"
    (source / "cells").mkdir(parents=True)
    (source / "cells" / "x").write_bytes(b"abc")
    said = manifest(**{"cells/x": 3})
    (source / "manifest.json").write_bytes(said.to_bytes())
    write_archive(source, tmp_path / "a.tar.gz")
    assert unpack(tmp_path / "a.tar.gz", place) == said
    assert (place / "cells" / "x").read_bytes() == b"abc"


@pytest.mark.parametrize(
    "name",
    [
        f"{TOP}/../../evil",
        "../evil",
        "/evil",
        f"/{TOP}/x",
        f"{TOP}/x/../../../evil",
        f"{TOP}\\..\\evil",
        f"{TOP}//x",
        "evil",
        TOP,
    ],
)
def test_names_outside_are_refused(tmp_path, place, name):
    path = archive(tmp_path / "a.tar.gz", manifest(x=3, evil=3), plain(name))
    with pytest.raises(StoreError, match="is not a name inside submission/"):
        unpack(path, place)
    assert not list(tmp_path.rglob("evil"))
    assert {each.name for each in place.iterdir()} == {"manifest.json"}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, f"{TOP}/manifest.json"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.DIRTYPE, ""),
    ],
)
def test_links_devices_and_folders_are_refused(tmp_path, place, kind, target):
    path = archive(tmp_path / "a.tar.gz", manifest(x=0), special(f"{TOP}/x", kind, target))
    with pytest.raises(StoreError, match="is a link, device or folder; files alone go in"):
        unpack(path, place)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([plain(f"{TOP}/y")], "y is in the archive and is not named by its manifest.json"),
        ([plain(f"{TOP}/x"), plain(f"{TOP}/x")], "x is in the archive twice"),
        ([plain(f"{TOP}/x", b"abcd")], "x has 4 bytes, its manifest.json says 3"),
        ([plain(f"{TOP}/manifest.json")], "manifest.json is in the archive and is not named"),
    ],
)
def test_files_that_the_manifest_does_not_know_are_refused(tmp_path, place, members, message):
    path = archive(tmp_path / "a.tar.gz", manifest(x=3), *members)
    with pytest.raises(StoreError, match=message):
        unpack(path, place)


def test_bombs_are_refused_before_they_go_off(tmp_path, place):
    big = 1 << 28
    path = archive(tmp_path / "a.tar.gz", manifest(x=big), plain(f"{TOP}/x"))
    with pytest.raises(StoreError, match=f"would unpack to {big} bytes, more than the"):
        unpack(path, place)
    quiet = archive(tmp_path / "b.tar.gz", manifest(x=3), plain(f"{TOP}/x", bytes(1 << 27)))
    assert quiet.stat().st_size < 1 << 18
    with pytest.raises(StoreError, match=r"x has 134217728 bytes, its manifest.json says 3"):
        unpack(quiet, place / "..")


def test_headers_that_never_end_are_refused(tmp_path, place):
    long = tarfile.TarInfo(f"{TOP}/x")
    long.pax_headers = {"comment": "a" * (1 << 20)}
    path = archive(tmp_path / "a.tar.gz", manifest(x=0), (long, b""))
    with pytest.raises(StoreError, match="the archive holds more than its manifest says"):
        unpack(path, place)


def test_other_files_are_refused(tmp_path, place):
    path = tmp_path / "a.tar.gz"
    for data in (b"", b"hello", gzip.compress(b"hello"), gzip.compress(bytes(2000))):
        path.write_bytes(data)
        with pytest.raises(StoreError):
            unpack(path, place)
    with tarfile.open(path, "w:gz") as tar:
        info, data = plain(f"{TOP}/x")
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(StoreError, match=r"the first file must be submission/manifest.json"):
        unpack(path, place)
    whole = archive(path, manifest(x=3), plain(f"{TOP}/x")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"is not a .tar.gz of a submission"):
        unpack(path, place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "submission of format 9, this version reads 1"),
        ({"kind": "x"}, "is of kind 'x', expected 'erase_ray.submission'"),
        ({"files": {"a": {"size": 1}}}, "files.a.sha256: Field required"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_manifests_of_something_else_are_refused(change, message):
    text = json.dumps(json.loads(manifest().to_bytes()) | change)
    with pytest.raises(EraseError, match=message):
        parse_manifest(text.encode(), "here")
    with pytest.raises(StoreError, match=r"here: manifest.json is not that of a submission"):
        parse_manifest(b"[" * 10**5, "here")


def test_submissions_are_told_from_stores_by_their_looks(tmp_path):
    assert not is_submission(str(tmp_path))
    assert not is_submission("memory://x")
    (tmp_path / "manifest.json").write_text("{}")
    assert is_submission(str(tmp_path))
    assert is_submission(str(tmp_path / "manifest.json"))
