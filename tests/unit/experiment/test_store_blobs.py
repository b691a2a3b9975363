import os
import time

import fsspec
import pytest

from erase_ray.errors import StoreError
from erase_ray.experiment._address import public_address, without_secrets
from erase_ray.experiment._open import _resolve, open_blobs
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.store import Store


@pytest.fixture(params=["local", "memory", "plain"])
def blobs(request, tmp_path):
    """``plain`` is a back end without conditional puts."""
    if request.param == "local":
        return open_blobs(str(tmp_path))
    opened = open_blobs(f"memory://blobs{tmp_path}")
    opened._conditional = request.param == "memory"
    opened.settle_s = 0.0
    return opened


def test_files_are_put_replaced_listed_and_deleted(blobs):
    assert blobs.read("a/b") is None
    assert blobs.size("a/b") is None
    assert blobs.names("a") == []
    blobs.write("a/b", b"1")
    blobs.write_all({"a/b": b"two", "a/c/d": b"", "e": b"3"})
    assert blobs.read("a/b") == b"two"
    assert (blobs.size("a/b"), blobs.size("a/c/d"), blobs.size("a")) == (3, 0, None)
    assert blobs.names("a") == ["a/b", "a/c/d"]
    assert blobs.names("") == ["a/b", "a/c/d", "e"]
    blobs.remove("a/b")
    blobs.remove("a/b")
    assert not blobs.exists("a/b")


def test_create_leaves_what_is_there(blobs):
    assert blobs.create("x/claim", b"first")
    assert not blobs.create("x/claim", b"second")
    assert blobs.read("x/claim") == b"first"


def test_append_adds_to_the_end(blobs):
    blobs.append("x/log", b"1\n")
    blobs.append("x/log", b"2\n")
    assert blobs.read("x/log") == b"1\n2\n"


def test_files_move_in_and_are_read_in_place(blobs):
    with blobs.scratch("w/new") as path:
        path.write_bytes(b"weights")
        blobs.adopt(path, "w/final")
    with blobs.local("w/final") as path:
        assert path is not None
        assert path.read_bytes() == b"weights"
    with blobs.local("w/none") as path:
        assert path is None
    assert blobs.names("w") == ["w/final"]


def test_only_files_two_folders_down_are_found(blobs):
    for name in ("top/leaf", "top/a/leaf", "top/a/b/leaf", "top/a/b/c/leaf", "top/a/b/other"):
        blobs.write(name, b"1")
    assert blobs.ending_in("top", "leaf") == ["top/a/b/leaf"]
    assert blobs.ending_in("none", "leaf") == []


def test_a_lost_race_without_conditional_puts_is_noticed(tmp_path, monkeypatch):
    blobs = open_blobs(f"memory://race{tmp_path}")
    blobs._conditional, blobs.settle_s = False, 0.0
    put = blobs._put_by_rename

    def overtaken(fs, name, data):
        put(fs, name, data)
        put(fs, name, b"theirs")

    monkeypatch.setattr(blobs, "_put_by_rename", overtaken)
    assert not blobs.create("claim", b"ours")
    assert blobs.read("claim") == b"theirs"


def test_what_killed_writers_left_is_hidden_and_cleared_after_a_day(tmp_path):
    blobs = open_blobs(str(tmp_path))
    blobs.write("w/final", b"1")
    for name, age_s in (("old", 90_000), ("new", 60)):
        spare = tmp_path / "w" / f".{name}.1.tmp"
        spare.write_bytes(b"left over")
        os.utime(spare, (time.time() - age_s,) * 2)
    assert blobs.names("w") == ["w/final"]
    with blobs.scratch("w/new") as path:
        path.write_bytes(b"2")
        blobs.adopt(path, "w/other")
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == [".new.1.tmp", "final", "other"]


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    blobs = open_blobs(str(tmp_path))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = (
        rf"^cannot write x/y at {tmp_path}: \[Errno 28\] No space left on device\. "
        "Free some space and run the same command again$"
    )
    for put in (blobs.write, blobs.create):
        with pytest.raises(StoreError, match=message):
            put("x/y", b"1")
    assert list((tmp_path / "x").iterdir()) == []


def test_a_file_where_a_folder_is_expected(tmp_path):
    (tmp_path / "file").write_text("")
    for address in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=rf"at {address}: .*A file stands where a folder is"):
            Store(str(address))
    with pytest.raises(StoreError, match=r"is a file\. A file stands where a folder is needed"):
        Store(str(tmp_path / "file"), read_only=True)
    fsspec.filesystem("memory").pipe_file(f"/file{tmp_path}", b"1")
    with pytest.raises(StoreError, match="A file stands where a folder is needed"):
        Store(f"memory://file{tmp_path}/below")


def test_a_folder_that_cannot_be_made():
    with pytest.raises(StoreError, match=r"^cannot write the storage at /proc/none: "):
        Store("/proc/none")


def test_missing_rights_are_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(StoreError, match=r"Permission denied. Check the credentials and what they"):
        Store(str(tmp_path))


def test_reading_does_not_make_a_folder(tmp_path):
    message = r"^cannot read the storage at .*/none: .* Create the bucket or folder first"
    with pytest.raises(StoreError, match=message):
        Store(str(tmp_path / "none"), read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_unknown_back_ends_and_missing_buckets():
    with pytest.raises(StoreError, match=r"^no back end for the storage address nosuch://x: "):
        Store("nosuch://x")
    with pytest.raises(StoreError, match=r"^s3:// names no bucket; expected s3://bucket/path$"):
        Store("s3://")


def test_opening_leaves_nothing_behind(tmp_path):
    Store(str(tmp_path / "runs"))
    assert list((tmp_path / "runs").iterdir()) == []
    Store(f"memory://clean{tmp_path}")
    assert not fsspec.filesystem("memory").exists(f"/clean{tmp_path}")


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("runs")
    assert store.uri == str(tmp_path / "runs")
    assert store.child("data") == str(tmp_path / "runs" / "data")
    assert Store(f"file://{tmp_path}/runs").uri == store.uri
    assert Store("memory://m/runs/").child("data") == "memory://m/runs/data"


def test_secrets_of_an_address_are_never_shown():
    class Failing:
        protocol = "ftp"

        def info(self, path):
            raise OSError("login of user:hunter2 failed")

    blobs = Blobs(Failing(), "/x", "ftp://user:hunter2@host/x?token=1")
    assert blobs.address == "ftp://host/x"
    message = (
        r"^cannot read a at ftp://host/x: login of \*\*\* failed\. "
        "Check the address, the network and, for S3, AWS_ENDPOINT_URL$"
    )
    with pytest.raises(StoreError, match=message) as caught:
        blobs.exists("a")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/data/a@b?c", "/data/a@b?c"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("ftp://user:pass@host/a", "ftp://host/a"),
        ("abfs://box@account/a?sig=1", "abfs://box@account/a"),
    ],
)
def test_public_address(text, clean):
    assert public_address(text) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://h/a?X-Amz-Signature=12&b=1 z", "https://h/a?X-Amz-Signature=***&b=1 z"),
        ("https://h/a?q=1", "https://h/a?q=1"),
        ("mail me@home.org, key=1", "mail me@home.org, key=1"),
        ("a s3://k:s@b/c, ftp://u@h", "a s3://b/c, ftp://h"),
    ],
)
def test_without_secrets(text, clean):
    assert without_secrets(text) == clean


def test_another_server_is_another_file_system(monkeypatch):
    servers = []
    for port in (1, 2):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        servers.append(_resolve("s3://bucket/folder")[0])
    assert servers[0] is not servers[1]
    assert [fs.client_kwargs or fs.endpoint_url for fs in servers] == [
        "http://127.0.0.1:1",
        "http://127.0.0.1:2",
    ]
