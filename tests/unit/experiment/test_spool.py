"""Files on their way to a storage that the test makes slow, broken or full."""

import errno
import os
import subprocess
import sys
import threading
import time
import uuid

import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from erase_ray import pulse
from erase_ray.errors import StoreError
from erase_ray.experiment import _retry, _spool, _spool_folder, _tensor_files
from erase_ray.experiment._spooled_blobs import SpooledBlobs
from erase_ray.experiment.blobs import Blobs
from erase_ray.experiment.journal import Journal, Snapshot
from erase_ray.experiment.store import CellRecord, Store
from erase_ray.experiment.weights import get_weights, put_weights

KEY = "ab" * 32


class Gate(MemoryFileSystem):
    """An in-memory storage that lets files in when told to, and notes the order of things."""

    cachable = False

    def __init__(self):
        super().__init__()
        self.store, self.pseudo_dirs = {}, [""]
        self.open_gate, self.log, self.failing = threading.Event(), [], {}
        self.tried = threading.Semaphore(0)
        self.open_gate.set()

    def put_file(self, lpath, rpath, **options):
        self.tried.release()
        assert self.open_gate.wait(30)
        name = rpath.rpartition("/")[2]
        self.log.append(f"put {name}")
        for part, error in self.failing.items():
            if part in rpath:
                raise error
        super().put_file(lpath, rpath, **options)

    def rm_file(self, path):
        self.log.append(f"remove {path.rpartition('/')[2]}")
        super().rm_file(path)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ERASE_RAY_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setattr(_spool_folder, "_own", {})
    monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.0)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def blobs(gate):
    return SpooledBlobs(Blobs(gate, "/x", f"memory://{uuid.uuid4().hex}"))


def put(blobs, name, data=b"content", once=False):
    with blobs.scratch(name) as path:
        path.write_bytes(data)
        blobs.adopt(path, name, once)


def waiting(tmp_path):
    """Files in the spool."""
    return [
        path for path in (tmp_path / "spool").rglob("*") if path.name != "lock" and path.is_file()
    ]


def in_thread(function):
    done = threading.Event()

    def run():
        function()
        done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, done


def test_a_file_is_read_before_and_after_it_arrives(blobs, gate, tmp_path):
    gate.open_gate.clear()
    put(blobs, "w/a")
    for _ in range(2):
        assert blobs.exists("w/a")
        assert blobs.size("w/a") == 7
        assert blobs.read("w/a") == b"content"
        with blobs.local("w/a") as path:
            assert path.read_bytes() == b"content"
        assert blobs.names("w") == ["w/a"]
        gate.open_gate.set()
        blobs.settle()
    assert gate.cat_file("/x/w/a") == b"content"
    assert waiting(tmp_path) == []


def test_a_file_that_arrives_while_it_is_read_stays_readable(blobs, gate):
    gate.open_gate.clear()
    put(blobs, "w/a")
    with blobs.local("w/a") as path:
        gate.open_gate.set()
        blobs.settle()
        assert path.read_bytes() == b"content"


def test_what_is_not_there_is_not_there(blobs):
    assert blobs.read("w/a") is None
    assert blobs.size("w/a") is None
    with blobs.local("w/a") as path:
        assert path is None


def test_settling_waits_for_one_folder_or_for_all(blobs, gate):
    put(blobs, "v/b")
    blobs.settle()
    gate.open_gate.clear()
    put(blobs, "w/a")
    blobs.settle("v")
    thread, done = in_thread(lambda: blobs.settle("w"))
    assert gate.tried.acquire(timeout=20)
    assert not done.is_set()
    gate.open_gate.set()
    thread.join(20)
    assert done.is_set()
    assert gate.exists("/x/w/a")


def test_a_put_above_the_limit_waits_and_beats_while_files_are_sent(blobs, gate, monkeypatch):
    beats = []
    monkeypatch.setattr(pulse, "beat", lambda: beats.append(1))
    monkeypatch.setattr(_spool, "LIMIT_BYTES", 20)
    is_waiting, wait = threading.Event(), blobs._spool._wait_while
    monkeypatch.setattr(blobs._spool, "_wait_while", lambda on: (is_waiting.set(), wait(on)))
    gate.open_gate.clear()
    put(blobs, "w/a", b"x" * 12)
    is_waiting.clear()
    thread, done = in_thread(lambda: put(blobs, "w/b", b"x" * 12))
    assert gate.tried.acquire(timeout=20)
    assert is_waiting.wait(20)
    assert list(blobs._spool.pending()) == ["w/a"]
    assert beats == []
    gate.open_gate.set()
    thread.join(20)
    assert done.is_set()
    assert beats
    blobs.settle()
    assert blobs.names("w") == ["w/a", "w/b"]


def test_a_file_larger_than_the_limit_passes_alone(blobs, monkeypatch):
    monkeypatch.setattr(_spool, "LIMIT_BYTES", 5)
    for name in "abc":
        put(blobs, f"w/{name}")
    blobs.settle()
    assert blobs.names("w") == ["w/a", "w/b", "w/c"]


def test_deletions_come_after_what_was_put_before_them(blobs, gate):
    put(blobs, "j/1")
    blobs.settle()
    gate.open_gate.clear()
    put(blobs, "j/2")
    put(blobs, "j/3")
    blobs.remove("j/1")
    assert blobs.names("j") == ["j/2", "j/3"]
    assert gate.exists("/x/j/1")
    gate.open_gate.set()
    blobs.settle()
    assert gate.log[0] == "put 1"
    assert set(gate.log[1:3]) == {"put 2", "put 3"}
    assert gate.log[3:] == ["remove 1"]


def test_nothing_is_deleted_for_what_did_not_arrive(blobs, gate, caplog):
    put(blobs, "j/1")
    blobs.settle()
    gate.failing = {"j/2": OSError(errno.EINVAL, "no such thing")}
    gate.open_gate.clear()
    put(blobs, "j/2")
    blobs.remove("j/1")
    gate.open_gate.set()
    with pytest.raises(StoreError, match=r"^cannot write j/2 at memory://.*no such thing"):
        blobs.settle("j")
    assert "j/2 is not stored: cannot write j/2" in caplog.text
    assert blobs.names("j") == ["j/1"]
    # told once
    blobs.settle("j")
    assert blobs.lost("j") == []


def test_until_the_owner_knows_deletions_are_dropped(blobs, gate):
    put(blobs, "j/1")
    blobs.settle()
    gate.failing = {"j/2": OSError(errno.EINVAL, "no such thing")}
    put(blobs, "j/2")
    with blobs._spool._change:
        blobs._spool._wait_while(lambda: blobs._spool._jobs)
    blobs.remove("j/1")
    assert blobs.names("j") == ["j/1"]
    assert blobs.lost("j") == ["j/2"]
    blobs.remove("j/1")
    assert blobs.names("j") == []


def test_several_failures_are_counted(blobs, gate):
    gate.failing = {"w/": OSError(errno.EINVAL, "no such thing")}
    put(blobs, "w/a")
    put(blobs, "w/b")
    with pytest.raises(StoreError, match=r"\(and 1 more files\)$"):
        blobs.settle()


def test_what_was_lost_may_be_put_again(blobs, gate):
    gate.failing = {"w/": OSError(errno.EINVAL, "no such thing")}
    put(blobs, "w/a")
    with pytest.raises(StoreError):
        blobs.settle()
    gate.failing = {}
    put(blobs, "w/a", once=True)
    blobs.settle()
    assert gate.exists("/x/w/a")


def test_a_dead_storage_ends_all_that_waits(blobs, gate, monkeypatch):
    monkeypatch.setattr(_retry, "RETRY_S", 0.0)
    blobs.connection.patience_s = 0.0
    gate.failing = {"w/": ConnectionResetError(104, "reset")}
    gate.open_gate.clear()
    for number in range(20):
        put(blobs, f"w/{number}")
    gate.open_gate.set()
    with pytest.raises(StoreError, match=r"given up after .* \(and 19 more files\)$"):
        blobs.settle()
    assert len(gate.log) < 100


def test_a_cell_is_put_after_its_weights(blobs, gate, monkeypatch):
    store = Store(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(store, "_blobs", blobs)
    gate.open_gate.clear()
    sha = store.put_weights({"a": torch.rand(100)})
    thread, done = in_thread(lambda: store.put_cell(KEY, CellRecord({}, weights={"0": sha})))
    assert gate.tried.acquire(timeout=20)
    assert not any(name.startswith("/x/cells") for name in gate.store)
    gate.open_gate.set()
    thread.join(20)
    assert done.is_set()
    assert store.has_cell(KEY)
    assert gate.exists(f"/x/weights/{sha}")


def test_no_manifest_names_weights_that_did_not_arrive(blobs, gate, monkeypatch):
    store = Store(f"memory://{uuid.uuid4().hex}")
    monkeypatch.setattr(store, "_blobs", blobs)
    gate.failing = {"weights": OSError(errno.EINVAL, "no such thing")}
    sha = store.put_weights({"a": torch.rand(100)})
    with pytest.raises(StoreError, match="no such thing"):
        store.put_cell(KEY, CellRecord({}, weights={"0": sha}))
    assert not store.has_cell(KEY)
    store.put_weights({"a": torch.rand(100)})
    with pytest.raises(StoreError, match="no such thing"):
        store.flush()


def snapshot(position, large):
    return Snapshot(position, {}, {"large": large, "n": torch.tensor(position)})


def test_a_journal_with_a_lost_snapshot_leans_on_none_of_it(blobs, gate):
    journal, large = Journal(blobs, "j", {}), torch.rand(1000)
    assert journal.save(snapshot(1, large))
    assert journal.flush()
    gate.failing = {"/j/000000002": OSError(errno.EINVAL, "no such thing")}
    assert journal.save(snapshot(2, torch.rand(1000)))
    assert not journal.flush()
    assert Journal(blobs, "j", {}).load().position == 1
    assert journal.save(snapshot(3, large))
    assert journal.flush()
    assert Journal(blobs, "j", {}).load().position == 3
    assert blobs.size(blobs.names("j")[-1]) > large.nbytes
    assert len(blobs.names("j")) == 1


def test_a_failure_that_nobody_asked_for_shows_at_the_next_snapshot(blobs, gate, caplog):
    journal, large = Journal(blobs, "j", {}), torch.rand(1000)
    journal.save(snapshot(1, large))
    blobs.settle()
    gate.failing = {"/j/000000002": OSError(errno.EINVAL, "no such thing")}
    journal.save(snapshot(2, large))
    with blobs._spool._change:
        blobs._spool._wait_while(lambda: blobs._spool._jobs)
    journal.save(snapshot(3, large))
    assert "the next snapshot in j is written in full" in caplog.text
    blobs.settle()
    assert Journal(blobs, "j", {}).load().position == 3


def test_clearing_drops_what_is_on_its_way(blobs, gate, tmp_path):
    gate.open_gate.clear()
    for number in range(_spool.THREADS + 3):
        put(blobs, f"j/{number}")
    for _ in range(_spool.THREADS):
        assert gate.tried.acquire(timeout=20)
    thread, done = in_thread(lambda: blobs.clear("j"))
    assert not done.is_set()
    gate.open_gate.set()
    thread.join(20)
    assert done.is_set()
    assert len(gate.log) <= 2 * _spool.THREADS
    assert blobs.names("j") == []
    assert waiting(tmp_path) == []


def test_a_name_is_written_after_what_is_on_its_way_to_it(blobs, gate):
    put(blobs, "w/a")
    blobs.write("w/a", b"newer")
    assert gate.cat_file("/x/w/a") == b"newer"
    put(blobs, "w/b")
    assert not blobs.create("w/b", b"newer")


def test_content_that_is_there_is_not_sent_again(blobs, gate):
    tensors = {"a": torch.rand(100)}
    put_weights(blobs, tensors)
    blobs.settle()
    put_weights(blobs, tensors)
    blobs.settle()
    assert len(gate.log) == 1


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A spool on a real disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    monkeypatch.setenv("ERASE_RAY_SPOOL", str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def weights(number, kilobytes=400):
    return {"a": torch.full((kilobytes * 256,), float(number))}


def check(blobs, shas):
    blobs.settle()
    for number, sha in enumerate(shas):
        assert torch.equal(get_weights(blobs, sha)["a"], weights(number)["a"])


def test_a_full_disk_waits_until_files_have_been_sent(blobs, gate, small_disk):
    gate.open_gate.clear()
    shas = [put_weights(blobs, weights(number)) for number in range(2)]
    thread, done = in_thread(lambda: shas.append(put_weights(blobs, weights(2))))
    assert gate.tried.acquire(timeout=20)
    assert not done.is_set()
    gate.open_gate.set()
    thread.join(30)
    assert done.is_set()
    check(blobs, shas)
    assert len([path for path in small_disk.rglob("*") if path.is_file()]) == 1


def test_with_nothing_to_wait_for_a_file_is_sent_past_a_full_disk(blobs, small_disk, caplog):
    (small_disk / "others").write_bytes(bytes(800_000))
    shas = [put_weights(blobs, weights(number)) for number in range(2)]
    assert f"no room in the spool folder {small_disk}; the file is sent past it" in caplog.text
    check(blobs, shas)


def test_neither_disk_nor_memory_is_one_clear_line(blobs, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    def none(*_, **__):
        raise MemoryError

    monkeypatch.setattr(_tensor_files.safetensors.torch, "save_file", full)
    monkeypatch.setattr(_tensor_files.safetensors.torch, "save", none)
    message = (
        rf"^no room in the spool folder {tmp_path}/spool, and no memory to do without\. Free some "
        "space, or set ERASE_RAY_SPOOL to a folder with room, and run the same command again$"
    )
    with pytest.raises(StoreError, match=message):
        put_weights(blobs, weights(0))
    assert waiting(tmp_path) == []


def test_a_spool_folder_that_cannot_be_made(blobs, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ERASE_RAY_SPOOL", str(tmp_path / "file"))
    message = rf"^cannot make the spool folder {tmp_path}/file: .*Set ERASE_RAY_SPOOL to a folder"
    with pytest.raises(StoreError, match=message):
        put(blobs, "w/a")


def test_what_a_killed_process_left_is_deleted_and_what_a_living_one_has_is_not(tmp_path):
    code = (
        "import sys, time; from erase_ray.experiment import _spool_folder as f;"
        "f.new_path().write_bytes(b'left'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        _spool_folder.new_path()
        assert len(waiting(tmp_path)) == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    _spool_folder._own.clear()
    own = _spool_folder.new_path().parent
    assert waiting(tmp_path) == []
    assert own.is_dir()


def test_a_folder_without_a_lock_is_deleted_when_it_is_old(tmp_path):
    for name, age_s in ((".new", 0), ("torn", 0), (".old", 4000), ("old", 4000)):
        folder = tmp_path / "spool" / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age_s,) * 2)
    own = _spool_folder.new_path().parent
    assert {path.name for path in (tmp_path / "spool").iterdir()} == {".new", "torn", own.name}


EXIT = """
import logging, sys, threading
from fsspec.implementations.memory import MemoryFileSystem
from erase_ray.experiment._spooled_blobs import SpooledBlobs
from erase_ray.experiment.blobs import Blobs

class Stuck(MemoryFileSystem):
    def put_file(self, lpath, rpath, **options):
        threading.Event().wait()

blobs = SpooledBlobs(Blobs(Stuck(), "/x", "memory://stuck"))
for number in range(6):
    with blobs.scratch("w/a") as path:
        path.write_bytes(b"1")
        blobs.adopt(path, f"w/{number}")
print(len(blobs.names("w")))
"""


def test_a_process_ends_with_files_on_their_way_and_leaves_none(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "6\n", "")
    assert list((tmp_path / "spool").iterdir()) == []


def test_threads_end_when_there_is_nothing_to_do(blobs, monkeypatch):
    monkeypatch.setattr(_spool, "IDLE_S", 0.0)
    others = set(threading.enumerate())
    put(blobs, "w/a")
    blobs.settle()
    for thread in set(threading.enumerate()) - others:
        thread.join(20)
    assert blobs._spool._threads == 0
    put(blobs, "w/b")
    blobs.settle()
    assert blobs.names("w") == ["w/a", "w/b"]
