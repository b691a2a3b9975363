"""The store behind a network and a server that do things wrong."""

import logging
import os
import socket
import subprocess
import sys
import uuid

import pytest
import torch
from conftest import BUCKET, DOMAIN
from faulty import Fault, FaultyProxy

from erase_ray.errors import StoreError
from erase_ray.experiment import _open, _retry, _s3, _s3_session, _spool_folder
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment._retry import StorageDownError
from erase_ray.experiment.journal import Snapshot
from erase_ray.experiment.store import CellRecord, Store

KEY = "ab" * 32
CREDENTIALS = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"


@pytest.fixture
def proxy(s3_server, monkeypatch, tmp_path):
    """A proxy before the server, through which the address is reached."""
    with FaultyProxy(s3_server["AWS_ENDPOINT_URL"]) as proxy:
        for name, value in (s3_server | {"AWS_ENDPOINT_URL": proxy.url}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(_retry, "FIRST_WAIT_S", 0.01)
        monkeypatch.setattr(_s3, "REQUEST_TRIES", 2)
        monkeypatch.setenv("ERASE_RAY_SPOOL", str(tmp_path / "spool"))
        monkeypatch.setattr(_spool_folder, "_own", {})
        _fresh()
        yield proxy
        _fresh()


@pytest.fixture
def address(proxy):
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/runs"


def _fresh():
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    _open._tested.clear()


def record(writer="a"):
    return CellRecord(settings={"writer": writer}, log=[{"writer": writer}])


def check(address, writer):
    store = Store(address)
    assert store.settings(KEY) == {"writer": writer}
    assert store.log(KEY) == [{"writer": writer}]
    assert store._blobs.names(f"cells/ab/{KEY}/pending") == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "code": "SlowDown"},
        {"kind": "status", "status": 500, "code": "InternalError"},
        {"kind": "status", "status": 429, "code": "TooManyRequests"},
        {"kind": "drop_request"},
        {"kind": "drop_reply"},
        {"kind": "cut_reply", "method": "GET"},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}",
)
def test_a_cell_gets_through(address, proxy, fault):
    store = Store(address)
    # more than what the client repeats of itself
    proxy.faults.append(Fault(**fault, times=8))
    sha = store.put_weights({"a": torch.arange(1000.0)})
    assert store.put_cell(KEY, record())
    assert store.settings(KEY) == {"writer": "a"}
    assert torch.equal(store.get_weights(sha)["a"], torch.arange(1000.0))
    proxy.faults.clear()
    check(address, "a")
    assert len(proxy.struck()) > (1 if fault["kind"] == "cut_reply" else 4)


@pytest.mark.parametrize("path", ["/pending", "/manifest.json", "/log.jsonl", "/weights/"])
@pytest.mark.parametrize("times", [1, 4])
def test_a_reply_that_is_dropped_after_the_server_did_it(address, proxy, path, times):
    store = Store(address)
    proxy.faults.append(Fault("drop_reply", times=times, method="PUT", path=path))
    store.put_weights({"a": torch.arange(1000.0)})
    assert store.put_cell(KEY, record())
    assert len(proxy.struck("drop_reply")) == times
    assert not Store(address).put_cell(KEY, record("b"))
    check(address, "a")


def test_a_large_file_that_breaks_off_in_a_part(address, proxy, monkeypatch):
    monkeypatch.setattr(_s3, "PART_BYTES", 5 << 20)
    store = Store(address)
    proxy.faults.append(Fault("drop_request", times=2, method="PUT", path="partNumber=2"))
    proxy.faults.append(Fault("drop_reply", times=4, method="POST", path="uploadId"))
    proxy.faults.append(Fault("status", times=4, method="PUT", path="partNumber=3"))
    large = {"a": torch.arange(3_000_000.0)}
    sha = store.put_weights(large)
    store.flush()
    assert len(proxy.struck()) == 10
    back = Store(address).get_weights(sha)
    assert torch.equal(back["a"], large["a"])
    numbers = {seen.path.split("partNumber=")[1][0] for seen in proxy.log if "partN" in seen.path}
    assert numbers == {"1", "2", "3"}


def test_small_files_are_put_whole(address, proxy):
    Store(address).put_cell(KEY, record())
    assert not [seen for seen in proxy.log if "upload" in seen.path]


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_server_that_hangs_is_asked_again(address, proxy, monkeypatch, size):
    monkeypatch.setattr(_s3_session, "REQUEST_S", 0.5)
    monkeypatch.setattr(_s3_session, "SLOWEST_BYTES_S", 1e7)
    blobs = open_blobs(address)
    proxy.faults.append(Fault("slow", seconds=60, method="PUT", path="/large"))
    blobs.write("large", bytes(size))
    assert blobs.size("large") == size
    assert len(proxy.struck()) == 1


def test_keys_that_ran_out_are_looked_up_again(address, proxy, monkeypatch, tmp_path):
    keys = [os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    file.write_text(CREDENTIALS.format(*keys))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    store = Store(address)
    old = store._blobs.connection.fs
    proxy.faults.append(Fault("status", status=400, code="ExpiredToken", method="PUT"))
    assert store.put_cell(KEY, record())
    assert store._blobs.connection.fs is not old
    # the next one does not get the old keys out of a cache
    assert Store(address)._blobs.connection.fs is store._blobs.connection.fs


def test_new_keys_in_a_file_are_taken_up(address, proxy, monkeypatch, tmp_path):
    keys = [os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    Store(address).put_cell(KEY, record())
    file = tmp_path / "credentials"
    file.write_text(CREDENTIALS.format("reader-key", "reader-secret"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    _fresh()
    blobs = open_blobs(address, read_only=True)
    assert blobs.read(f"cells/ab/{KEY}/settings.yaml") == b"writer: a\n"
    file.write_text(CREDENTIALS.format(*keys))
    blobs.write("new", b"1")
    assert blobs.read("new") == b"1"


@pytest.mark.parametrize("times", [1, 2])
def test_one_403_does_not_end_it(address, proxy, times):
    store = Store(address)
    proxy.faults.append(Fault("forbid", times=times))
    assert store.put_cell(KEY, record())


def test_wrong_keys_end_it_soon(address, proxy, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with pytest.raises(StoreError, match="Check the credentials and what they") as caught:
        Store(address)
    assert not isinstance(caught.value, StorageDownError)
    assert len(proxy.log) == 1 + _retry.RENEWALS


def test_a_missing_bucket_is_asked_for_once(proxy):
    with pytest.raises(StoreError, match="Create the bucket or folder first"):
        Store("s3://no-such-bucket/x")
    assert len(proxy.log) == 1


def test_an_outage_ends_in_one_clear_line(address, proxy, monkeypatch):
    store = Store(address)
    store._blobs.connection.patience_s = 0.1
    proxy.faults.append(Fault("status", times=10_000))
    message = r"^cannot read cells/.* at s3://erase-ray/.*given up after \d+ attempts"
    with pytest.raises(StorageDownError, match=message):
        store.put_cell(KEY, record())
    assert len(proxy.log) < 100


def test_weights_that_cannot_be_put_stop_the_commit(address, proxy):
    store = Store(address)
    store._blobs.connection.patience_s = 0.1
    proxy.faults.append(Fault("status", times=10_000, method="PUT", path="/weights/"))
    store.put_weights({"a": torch.arange(1000.0)})
    with pytest.raises(StorageDownError, match=r"^cannot write weights/"):
        store.put_cell(KEY, record())
    assert not Store(address).has_cell(KEY)


def test_a_journal_on_a_bad_day_costs_a_snapshot_and_no_more(address, proxy):
    store = Store(address)
    store._blobs.connection.patience_s = 0.1
    journal, large = store.journal(KEY, {}), torch.rand(1000)
    assert journal.save(Snapshot(1, {}, {"large": large}))
    assert journal.flush()
    fault = Fault("status", times=10_000, method="PUT", path="/journal/000000002")
    proxy.faults.append(fault)
    journal.save(Snapshot(2, {}, {"large": large + 1}))
    assert not journal.flush()
    assert Store(address).journal(KEY, {}).load().position == 1
    journal.save(Snapshot(3, {}, {"large": large + 1}))
    assert journal.flush()
    assert Store(address).journal(KEY, {}).load().position == 3


def test_a_store_is_tested_once(address, proxy):
    Store(address)
    asked = len(proxy.log)
    assert asked == 3
    Store(address)
    assert len(proxy.log) == asked


def test_the_bucket_in_front_of_the_server_or_behind(address, proxy, monkeypatch):
    look_up, port = socket.getaddrinfo, proxy.url.rpartition(":")[2]

    def resolved(host, *rest, **options):
        known = str(host).endswith(DOMAIN)
        return look_up("127.0.0.1" if known else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{DOMAIN}:{port}")
    for style, start in (("virtual", "/"), ("path", f"/{BUCKET}/")):
        monkeypatch.setenv("ERASE_RAY_S3_ADDRESSING", style)
        proxy.log.clear()
        open_blobs(address).write(style, b"1")
        inside = address.partition(f"{BUCKET}/")[2]
        assert proxy.log[-1].path == f"{start}{inside}/{style}"
    assert open_blobs(address).names("") == ["path", "virtual"]


def test_the_style_may_come_from_the_configuration_file(address, proxy, monkeypatch, tmp_path):
    file = tmp_path / "config"
    file.write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    fs = open_blobs(address).connection.fs
    assert fs.s3.meta.config.s3["addressing_style"] == "virtual"


def test_keys_are_in_no_log_and_no_object(address, proxy, caplog):
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    with caplog.at_level(logging.INFO, "erase_ray"):
        store = Store(address)
        proxy.faults += [Fault("status", times=4), Fault("forbid")]
        store.put_cell(KEY, record())
    assert "attempt 1 failed" in caplog.text
    assert secret not in caplog.text
    for name in store._blobs.names(""):
        assert secret.encode() not in store._blobs.read(name)


CODE = """
import sys, torch
from erase_ray.experiment.store import Store
store = Store(sys.argv[1])
sha = store.put_weights({"a": torch.arange(1000.0)})
print(store._blobs.size("weights/" + sha))
"""


def test_a_process_ends_while_the_server_hangs(address, proxy, tmp_path):
    Store(address)
    proxy.faults.append(Fault("slow", times=100, seconds=100, method="PUT", path="/weights/"))
    command = [sys.executable, "-c", CODE, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 4000
    assert list((tmp_path / "spool").rglob("*")) == []
