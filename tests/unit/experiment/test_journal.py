"""Snapshots: whole or not there, no larger than need be, and never of something else."""

import logging
import math

import pytest
import torch

from erase_ray.errors import StoreError
from erase_ray.experiment import journal as journal_module
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.journal import Journal, Snapshot

FOLDER = "cells/ab/abc/journal"
IDENTITY = {"cell": "abc", "chain": "1"}


@pytest.fixture(params=["local", "memory"])
def blobs(request, tmp_path):
    local = request.param == "local"
    return open_blobs(str(tmp_path) if local else f"memory://journal{tmp_path}")


def open_journal(blobs, **changes) -> Journal:
    return Journal(blobs, FOLDER, IDENTITY | changes)


def snapshot(position: int, **tensors) -> Snapshot:
    facts = {"done": position, "share": math.nan, "third": 1 / 3}
    return Snapshot(position, facts, {"count": torch.tensor(position)} | tensors)


def files(blobs) -> list[str]:
    return [name.rpartition("/")[2] for name in blobs.names(FOLDER)]


def positions(blobs) -> list[int]:
    return [int(name.partition("-")[0]) for name in files(blobs)]


ODD = {
    "weights/a b": torch.tensor([[1.5, -0.0], [math.inf, math.nan]]),
    "flag": torch.tensor(True),
    "none": torch.zeros(0, 3),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "ids": torch.arange(6).view(2, 3).T,
}


def test_comes_back_bit_for_bit(blobs):
    open_journal(blobs).save(snapshot(7, **ODD))
    found = open_journal(blobs).load()
    assert found.position == 7
    assert found.facts["third"] == 1 / 3
    assert math.isnan(found.facts["share"])
    assert set(found.tensors) == {*ODD, "count"}
    for name, tensor in ODD.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert found.tensors[name].shape == tensor.shape
        bits = [t.contiguous().reshape(-1).view(torch.uint8) for t in (found.tensors[name], tensor)]
        assert torch.equal(*bits)


def test_nothing_is_found_where_nothing_is(blobs):
    assert open_journal(blobs).load() is None


def test_the_newest_is_used_and_two_are_kept(blobs):
    journal = open_journal(blobs)
    for position in (1, 20, 3, 100):
        journal.save(snapshot(position))
    assert positions(blobs) == [3, 100]
    assert open_journal(blobs).load().position == 100


def test_a_successor_tidies_up_behind_a_dead_writer(blobs):
    journal = open_journal(blobs)
    journal.save(snapshot(1))
    journal.save(snapshot(2))
    journal = open_journal(blobs)
    journal.load()
    journal.save(snapshot(5))
    assert positions(blobs) == [2, 5]


def test_what_did_not_change_is_not_written_again(blobs):
    journal = open_journal(blobs)
    large = torch.rand(50_000)
    for position in range(6):
        journal.save(snapshot(position, large=large, small=torch.full((3,), float(position))))
    sizes = [blobs.size(f"{FOLDER}/{name}") for name in files(blobs)]
    # the first one is there for its large tensor
    assert positions(blobs) == [0, 4, 5]
    assert sizes[0] > large.nbytes
    assert max(sizes[1:]) < 2000
    found = open_journal(blobs).load()
    assert torch.equal(found.tensors["large"], large)
    assert found.tensors["small"].tolist() == [5.0] * 3


def test_a_resumed_journal_leans_on_the_old_files(blobs):
    large = torch.rand(50_000)
    open_journal(blobs).save(snapshot(1, large=large))
    journal = open_journal(blobs)
    journal.load()
    journal.save(snapshot(2, large=large))
    journal.save(snapshot(3, large=large))
    assert positions(blobs) == [1, 2, 3]
    assert torch.equal(open_journal(blobs).load().tensors["large"], large)


def test_tensors_that_are_gone_do_not_come_back(blobs):
    journal = open_journal(blobs)
    journal.save(snapshot(1, extra=torch.ones(3)))
    journal.save(snapshot(2))
    assert set(open_journal(blobs).load().tensors) == {"count"}


def test_files_that_are_mostly_out_of_date_are_given_up(blobs):
    journal = open_journal(blobs)
    for position in range(4):
        many = {f"t{i}": torch.full((1000,), i + (position if i else 0.0)) for i in range(10)}
        journal.save(snapshot(position, **many))
    # t0 alone never changed; to keep nine others for it would be a waste
    assert positions(blobs) == [2, 3]
    assert torch.equal(open_journal(blobs).load().tensors["t9"], torch.full((1000,), 12.0))


def test_no_snapshot_is_spread_over_many_files(blobs, monkeypatch):
    monkeypatch.setattr(journal_module, "MAX_FILES", 3)
    journal, tensors = open_journal(blobs), {}
    for position in range(10):
        tensors[f"t{position}"] = torch.full((100,), float(position))
        journal.save(snapshot(position, **tensors))
        assert len(files(blobs)) <= 6
    found = open_journal(blobs).load().tensors
    assert [found[f"t{i}"][0].item() for i in range(10)] == list(range(10))


@pytest.mark.parametrize("cut", [0, 1, 8, 100, -1])
def test_a_torn_snapshot_is_passed_over_for_the_one_before(blobs, cut, caplog):
    journal = open_journal(blobs)
    journal.save(snapshot(1))
    journal.save(snapshot(2))
    newest = f"{FOLDER}/{files(blobs)[-1]}"
    blobs.write(newest, blobs.read(newest)[:cut])
    with caplog.at_level(logging.WARNING):
        assert open_journal(blobs).load().position == 1
    assert "is passed over: " in caplog.text
    assert "does not have the SHA-256 of its name" in caplog.text


def test_a_flipped_bit_is_seen_also_in_a_file_that_is_leant_on(blobs, caplog):
    journal = open_journal(blobs)
    journal.save(snapshot(1, large=torch.rand(1000)))
    journal.save(snapshot(2, large=torch.rand(1000)))
    large = torch.rand(1000)
    journal.save(snapshot(3, large=large))
    journal.save(snapshot(4, large=large))
    first = f"{FOLDER}/{files(blobs)[0]}"
    data = bytearray(blobs.read(first))
    data[-3] ^= 1
    blobs.write(first, bytes(data))
    assert open_journal(blobs).load() is None
    assert caplog.text.count("is passed over") == 2


def test_a_damaged_snapshot_is_deleted_by_the_next_writer(blobs):
    open_journal(blobs).save(snapshot(9))
    blobs.write(f"{FOLDER}/{files(blobs)[0]}", b"")
    journal = open_journal(blobs)
    assert journal.load() is None
    journal.save(snapshot(1))
    assert positions(blobs) == [1]


@pytest.mark.parametrize("change", [{"cell": "b"}, {"chain": "2"}, {"device": "cuda"}])
def test_a_snapshot_of_something_else_is_passed_over(blobs, change, caplog):
    open_journal(blobs).save(snapshot(1))
    assert open_journal(blobs, **change).load() is None
    assert "it belongs to {" in caplog.text
    assert open_journal(blobs).load().position == 1


def test_a_snapshot_of_another_format_is_passed_over(blobs, monkeypatch):
    open_journal(blobs).save(snapshot(1))
    monkeypatch.setattr(journal_module, "FORMAT", journal_module.FORMAT + 1)
    assert open_journal(blobs).load() is None


def test_clear_leaves_nothing_and_may_be_repeated(blobs, tmp_path):
    journal = open_journal(blobs)
    journal.save(snapshot(1))
    blobs.write("cells/ab/abc/log.jsonl", b"x")
    journal.clear()
    journal.clear()
    assert blobs.names("cells") == ["cells/ab/abc/log.jsonl"]
    assert not (tmp_path / FOLDER).exists()


def test_a_storage_that_fails_costs_the_snapshot_and_not_the_work(blobs, monkeypatch, caplog):
    journal = open_journal(blobs)
    assert journal.save(snapshot(1))

    def fail(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(blobs, "adopt", fail)
    assert not journal.save(snapshot(2))
    assert f"no snapshot at 2 in {FOLDER}: the disk is full" in caplog.text
    monkeypatch.undo()
    assert open_journal(blobs).load().position == 1


def test_journals_are_no_cells(blobs):
    open_journal(blobs).save(snapshot(1))
    assert blobs.ending_in("cells", "manifest.json") == []
