"""The store on a real S3 server: conditional puts, races, errors."""

import threading

import pandas as pd
import pytest
import s3fs
import torch

from erase_ray.errors import StoreError
from erase_ray.experiment import _retry
from erase_ray.experiment._events import CHUNK_BYTES
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.store import CellRecord, Store

KEY = "ab" * 32


def record(writer="a", **changes):
    row = dict.fromkeys(RESULTS, "x") | {"fraction": 0.5, "value": 1 / 3}
    row |= {"seed": 1, "mark": 1, "k": 10, "n": 3, "cell": KEY}
    results = pd.DataFrame([row])
    costs = results.assign(metric="seconds", dataset=writer)
    fields = {"settings": {"writer": writer}, "results": results, "costs": costs}
    return CellRecord(**(fields | {"log": [{"writer": writer}]} | changes))


def check(store, writer):
    assert store.settings(KEY) == {"writer": writer}
    assert store.log(KEY) == [{"writer": writer}]
    assert store.table(KEY, "costs")["dataset"].tolist() == [writer]
    assert store.table(KEY, "results")["value"].tolist() == [1 / 3]


def test_a_name_is_put_once(s3_address):
    blobs = open_blobs(s3_address)
    assert blobs.conditional
    assert blobs.create("claim", b"first")
    assert not blobs.create("claim", b"second")
    assert blobs.read("claim") == b"first"
    blobs.remove("claim")
    blobs.remove("claim")
    assert blobs.create("claim", b"third")


def test_a_name_is_put_once_in_several_parts_too(s3_address):
    blobs = open_blobs(s3_address)
    # above this size the client uploads in parts
    large = bytes(101 * 2**20)
    assert blobs.create("claim", large)
    assert not blobs.create("claim", large[:-1] + b"1")
    assert blobs.size("claim") == len(large)
    assert blobs.read("claim")[-1:] == b"\0"


def test_a_cell_is_committed_once_and_seen_at_once_by_others(s3_address):
    ours, theirs = Store(s3_address), Store(s3_address)
    assert theirs.done_cells() == set()
    assert not theirs.has_cell(KEY)
    assert ours.put_cell(KEY, record("a"))
    assert theirs.has_cell(KEY)
    assert theirs.done_cells() == {KEY}
    assert not theirs.put_cell(KEY, record("b"))
    check(theirs, "a")
    names = open_blobs(s3_address).names("")
    folder = f"cells/ab/{KEY}"
    assert names == [
        f"{folder}/{leaf}"
        for leaf in (
            "costs.parquet",
            "log.jsonl",
            "manifest.json",
            "ranked.parquet",
            "requests.parquet",
            "results.parquet",
            "settings.yaml",
        )
    ]


def test_of_many_writers_one_wins(s3_address):
    start, won = threading.Barrier(6, timeout=30), {}
    stores = {f"w{i}": Store(s3_address) for i in range(6)}

    def run(writer):
        start.wait()
        won[writer] = stores[writer].put_cell(KEY, record(writer))

    threads = [threading.Thread(target=run, args=(writer,)) for writer in stores]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sum(won.values()) == 1
    check(Store(s3_address), next(writer for writer in won if won[writer]))


def test_weights_and_their_deltas_come_back(s3_address):
    store = Store(s3_address)
    parent = {"items": torch.randn(1000, 64), "bias": torch.tensor(1.0)}
    base = store.put_weights(parent)
    child = {"items": parent["items"].clone(), "bias": torch.tensor(-0.0)}
    child["items"][5] = torch.nan
    sha = store.put_weights(child, parent=base)
    blobs = open_blobs(s3_address)
    assert blobs.size(f"weights/{sha}") < 2000 < blobs.size(f"weights/{base}")
    back = Store(s3_address).get_weights(sha)
    for name in child:
        assert torch.equal(back[name].view(torch.int32), child[name].view(torch.int32))


def test_event_streams_and_runs(s3_address):
    store = Store(s3_address)
    long = "x" * (CHUNK_BYTES // 2)
    for number in range(4):
        store.append_event("run-1", "driver", {"number": number, "text": long})
    Store(s3_address).append_event("run-1", "driver", {"number": 4})
    numbers = [event["number"] for event in store.events("run-1")]
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    store.put_run("run-1", "report/index.html", "<p>Ångström</p>")
    assert store.get_run("run-1", "report/index.html") == "<p>Ångström</p>"
    assert store.get_run("run-1", "plan.json") is None
    assert store.runs() == ["run-1"]


def test_a_missing_bucket_is_one_clear_line(s3_address):
    message = (
        r"^cannot write .* at s3://no-such-bucket/x: .*\. "
        r"Create the bucket or folder first, or correct the address$"
    )
    with pytest.raises(StoreError, match=message):
        Store("s3://no-such-bucket/x")
    with pytest.raises(StoreError, match=r"^cannot read the storage at s3://no-such-bucket/x: "):
        Store("s3://no-such-bucket/x", read_only=True)


def test_wrong_keys_are_one_clear_line_without_the_key(s3_address, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(StoreError, match="Check the credentials and what they") as caught:
            Store(s3_address)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
    assert "a-wrong-secret" not in str(caught.value)


def test_readers_without_the_right_to_write_open_it_read_only(s3_address, monkeypatch):
    Store(s3_address).put_cell(KEY, record())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "reader-secret")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        check(Store(s3_address, read_only=True), "a")
        with pytest.raises(StoreError, match=r"^cannot write .* Check the credentials"):
            Store(s3_address)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_keys_inside_the_address_are_refused_and_not_shown(s3_address):
    with pytest.raises(StoreError, match=r"^s3://bucket/x: no keys inside an S3 address; set AWS_"):
        Store("s3://key:secret@bucket/x")


def test_servers_that_ignore_the_condition_are_found_out(s3_address, monkeypatch, caplog):
    put = s3fs.S3FileSystem.pipe_file

    def careless(self, path, value, mode="overwrite", **options):
        put(self, path, value, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "pipe_file", careless)
    blobs = open_blobs(s3_address)
    assert not blobs._conditional
    assert "has no conditional put; falling back to read-back" in caplog.text
    blobs.settle_s = 0.0
    assert blobs.create("claim", b"first")
    assert not blobs.create("claim", b"second")
    assert blobs.names("") == ["claim"]


def test_an_unreachable_server_is_one_clear_line(s3_address, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(_retry, "OPENING_S", 0.0)
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(StoreError, match="Check the address, the network and, for S3, AWS_"):
            Store(s3_address)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
