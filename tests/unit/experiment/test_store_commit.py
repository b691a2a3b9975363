"""Kills at every step and writers in between every step of another."""

import contextlib
import itertools
import json
import os
import threading

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from erase_ray.errors import StoreError
from erase_ray.experiment import _local_blobs
from erase_ray.experiment._commit import commit, read_file, read_manifest
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.blobs import Blobs

FOLDER = "cells/ab/abc"
NAMES = ("results.parquet", "costs.parquet", "log.jsonl")


class Killed(BaseException):
    """Stands for SIGKILL: not an Exception, so nothing may handle it."""


def files(writer):
    return {name: f"{name} of {writer}".encode() * 3 for name in NAMES} | {"empty": b""}


def put(blobs, writer):
    return commit(blobs, FOLDER, files(writer), {"facts": {"writer": writer}})


def shown(blobs):
    """Writer of the committed folder, all of whose files must be its own; None if not there."""
    if not blobs.ending_in("cells", "manifest.json"):
        with pytest.raises(StoreError, match="it has to be run first"):
            read_manifest(blobs, FOLDER)
        return None
    manifest = read_manifest(blobs, FOLDER)
    writer = manifest["facts"]["writer"]
    assert {n: read_file(blobs, FOLDER, n, manifest) for n in manifest["files"]} == files(writer)
    return writer


class SteppedFileSystem(MemoryFileSystem):
    """An in-memory back end that calls ``hook(name)`` before each step that is asked of it."""

    cachable = False

    def __init__(self):
        super().__init__()
        self.hook = lambda name: None
        self._inside = False

    def pipe_file(self, path, value, **options):
        self._step("write", super().pipe_file, path, value, **options)

    def rm_file(self, path):
        self._step("delete", super().rm_file, path)

    def info(self, path, **options):
        return self._step("look", super().info, path, **options)

    def cat_file(self, path, **options):
        return self._step("read", super().cat_file, path, **options)

    def mv(self, path1, path2, **options):
        self._step("rename", super().mv, path1, path2, **options)

    def makedirs(self, path, exist_ok=False):
        self._step("make a folder", super().makedirs, path, exist_ok=exist_ok)

    def _step(self, name, function, *arguments, **options):
        # a step may be made of others, in which fsspec swallows whatever is raised
        if not self._inside:
            self.hook(name)
        outer, self._inside = self._inside, True
        try:
            return function(*arguments, **options)
        finally:
            self._inside = outer


@pytest.fixture(params=["conditional", "plain"])
def stepped(request, tmp_path):
    """A stepped store; ``plain`` has no conditional put, and renames."""
    fs = SteppedFileSystem()
    fs.rm(str(tmp_path), recursive=True) if fs.exists(str(tmp_path)) else None
    blobs = Blobs(fs, str(tmp_path), f"memory://{tmp_path}")
    blobs.settle_s = 0.0
    # one thread plays all writers, so the lock would wait for itself
    blobs._in_memory = False
    blobs._conditional = request.param == "conditional"
    return fs, blobs


# without conditional puts a race is only made unlikely; readers notice it by the checksums
CONDITIONAL = pytest.mark.parametrize("stepped", ["conditional"], indirect=True)


class At:
    """Calls ``action`` before step ``n`` (counted from 0), once."""

    def __init__(self, n, action):
        self.n, self.action, self.seen = n, action, 0

    def __call__(self, name):
        self.seen += 1
        if self.seen == self.n + 1:
            self.action()


def kill():
    raise Killed


def steps(fs, run):
    counter = At(-1, kill)
    fs.hook = counter
    run()
    fs.hook = lambda name: None
    return counter.seen


def wiped(fs, blobs):
    fs.hook = lambda name: None
    if fs.exists(blobs._root):
        fs.rm(blobs._root, recursive=True)


def test_a_kill_before_any_step_shows_nothing_or_everything(stepped):
    fs, blobs = stepped
    total = steps(fs, lambda: put(blobs, "a"))
    assert total > 8
    for n in range(total):
        wiped(fs, blobs)
        fs.hook = At(n, kill)
        with pytest.raises(Killed):
            put(blobs, "a")
        fs.hook = lambda name: None
        before = shown(blobs)
        assert before in (None, "a")
        mine = put(blobs, "b")
        after = shown(blobs)
        assert after == ("b" if mine else "a")
        assert before in (None, after)
        assert not blobs.exists(f"{FOLDER}/pending")


@CONDITIONAL
def test_another_writer_may_come_in_before_any_step(stepped):
    fs, blobs = stepped
    for n in range(steps(fs, lambda: put(blobs, "a"))):
        wiped(fs, blobs)
        won = []
        fs.hook = At(n, lambda won=won: won.append(put(blobs, "b")))
        won.append(put(blobs, "a"))
        assert won in ([True, False], [False, True])
        assert shown(blobs) == ("b" if won[0] else "a")


@CONDITIONAL
def test_another_writer_may_come_in_and_be_killed_itself(stepped):
    fs, blobs = stepped
    total = steps(fs, lambda: put(blobs, "a"))
    for n, m in itertools.product(range(total), range(total)):
        wiped(fs, blobs)

        def intrude(m=m):
            fs.hook = At(m, kill)
            # one that finds the work done needs fewer steps and lives
            with contextlib.suppress(Killed):
                put(blobs, "b")
            fs.hook = lambda name: None

        fs.hook = At(n, intrude)
        mine = put(blobs, "a")
        assert shown(blobs) == ("a" if mine else "b")


@CONDITIONAL
def test_three_writers_may_be_nested_at_all_steps(stepped):
    fs, blobs = stepped
    total = steps(fs, lambda: put(blobs, "a"))
    for n, m in itertools.product(range(total), range(total)):
        wiped(fs, blobs)
        won = {}

        def third(won=won):
            won["c"] = put(blobs, "c")

        def second(m=m, won=won, third=third):
            fs.hook = At(m, third)
            won["b"] = put(blobs, "b")

        fs.hook = At(n, second)
        won["a"] = put(blobs, "a")
        assert sum(won.values()) == 1
        assert won[shown(blobs)]


class LocalFaults:
    """Kills at the n-th change of the disk; a killed write leaves half of its bytes."""

    def __init__(self, monkeypatch):
        self.n, self.seen = -1, 0
        for module, name in (
            (os, "replace"),
            (os, "link"),
            (os, "unlink"),
            (_local_blobs, "_sync_folder"),
        ):
            monkeypatch.setattr(module, name, self._wrapped(getattr(module, name)))
        monkeypatch.setattr(_local_blobs, "_write", self._half(_local_blobs._write))

    def _due(self):
        self.seen += 1
        # once dead, nothing is done any more: no clean-up runs after SIGKILL either
        return 0 <= self.n < self.seen

    def _wrapped(self, function):
        def call(*arguments, **options):
            if self._due():
                raise Killed
            return function(*arguments, **options)

        return call

    def _half(self, write):
        def call(path, data):
            if self._due():
                if self.seen == self.n + 1:
                    path.write_bytes(data[: len(data) // 2])
                raise Killed
            write(path, data)

        return call


def test_a_kill_at_any_change_of_the_disk_shows_nothing_or_everything(tmp_path, monkeypatch):
    faults = LocalFaults(monkeypatch)
    blobs = open_blobs(str(tmp_path / "dry"))
    faults.seen = 0
    put(blobs, "a")
    total = faults.seen
    assert total > 15
    for n in range(total):
        blobs = open_blobs(str(tmp_path / f"kill{n}"))
        faults.n, faults.seen = n, 0
        with pytest.raises(Killed):
            put(blobs, "a")
        faults.n = -1
        before = shown(blobs)
        mine = put(blobs, "b")
        assert shown(blobs) == ("b" if mine else "a")
        assert before in (None, shown(blobs))


def test_file_systems_without_hard_links_lose_and_win_races_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    blobs = open_blobs(str(tmp_path))
    assert blobs.create("x/claim", b"first")
    assert not blobs.create("x/claim", b"second")
    assert blobs.read("x/claim") == b"first"


@pytest.mark.parametrize("where", ["local", "memory"])
def test_of_many_threads_one_wins(where, tmp_path):
    address = str(tmp_path) if where == "local" else f"memory://threads{tmp_path}"
    start = threading.Barrier(8, timeout=20)
    won = {}

    def run(writer):
        blobs = open_blobs(address)
        start.wait()
        won[writer] = put(blobs, writer)

    threads = [threading.Thread(target=run, args=(f"w{i}",)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sum(won.values()) == 1
    assert won[shown(open_blobs(address))]


def test_a_committed_folder_holds_its_files_and_the_manifest_alone(tmp_path):
    put(open_blobs(str(tmp_path)), "a")
    there = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert there == {*NAMES, "empty", "manifest.json"}


def test_the_manifest_names_sizes_and_versions(tmp_path):
    put(open_blobs(str(tmp_path)), "a")
    manifest = json.loads((tmp_path / FOLDER / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["files"]["log.jsonl"]["size"] == len(b"log.jsonl of a") * 3
    assert set(manifest["versions"]) >= {"python", "torch", "numpy", "erase-ray"}
    assert manifest["created"].endswith("+00:00")


def test_a_wrong_checksum_names_the_file_and_the_way_out(tmp_path):
    blobs = open_blobs(str(tmp_path))
    put(blobs, "a")
    (tmp_path / FOLDER / "log.jsonl").write_bytes(b"changed")
    message = (
        rf"^{FOLDER}/log.jsonl at {tmp_path} is missing or not what was committed \(wrong "
        rf"SHA-256\)\. Delete the folder {FOLDER} and run the same command again$"
    )
    with pytest.raises(StoreError, match=message):
        read_file(blobs, FOLDER, "log.jsonl", read_manifest(blobs, FOLDER))


def test_a_missing_file_is_named(tmp_path):
    blobs = open_blobs(str(tmp_path))
    put(blobs, "a")
    (tmp_path / FOLDER / "costs.parquet").unlink()
    with pytest.raises(StoreError, match=r"costs.parquet at .* is missing or not"):
        read_file(blobs, FOLDER, "costs.parquet", read_manifest(blobs, FOLDER))
    with pytest.raises(StoreError, match=rf"^{FOLDER} at .* has no file other$"):
        read_file(blobs, FOLDER, "other", read_manifest(blobs, FOLDER))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    blobs = open_blobs(str(tmp_path))
    put(blobs, "a")
    (tmp_path / FOLDER / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=rf"^{FOLDER}/manifest.json at .* is missing or not"):
        read_manifest(blobs, FOLDER)


def test_a_manifest_of_another_format_is_refused(tmp_path):
    blobs = open_blobs(str(tmp_path))
    blobs.write(f"{FOLDER}/manifest.json", b'{"format": 99}')
    with pytest.raises(StoreError, match="has format 99, this version reads format 1; use another"):
        read_manifest(blobs, FOLDER)


@pytest.mark.parametrize("data", [b"", b"half of it"])
def test_a_damaged_pending_object_is_named_and_not_published(tmp_path, data):
    blobs = open_blobs(str(tmp_path))
    blobs.write(f"{FOLDER}/pending", data)
    with pytest.raises(StoreError, match=rf"^{FOLDER}/pending at .* is missing or not what"):
        put(blobs, "a")
    assert shown(blobs) is None
