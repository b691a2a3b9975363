"""What a running cell tells is in the store soon, in order, and never in its way."""

import logging
import time

import pytest

from erase_ray.errors import StoreError
from erase_ray.experiment import live
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.live import Log, Stream, read, streamed

FOLDER = "cells/ab/abc/live"


@pytest.fixture
def blobs(tmp_path):
    return open_blobs(str(tmp_path / "store"))


def warn_and_raise():
    logging.getLogger("erase_ray.somewhere").warning("look %s", "here")
    raise ValueError("x")


def events(blobs):
    return [event["event"] for event in read(blobs, FOLDER)]


def wait_for(blobs, number):
    end = time.monotonic() + 30
    while len(read(blobs, FOLDER)) < number and time.monotonic() < end:
        time.sleep(0.01)
    return events(blobs)


def test_lines_are_there_while_the_cell_runs(blobs):
    log = Log()
    log.append({"event": "before"})
    with streamed(Stream(blobs, FOLDER, 0.01)):
        log.append({"event": "epoch"})
        assert wait_for(blobs, 2) == ["begin", "epoch"]
        live.tell({"event": "request"})
        assert wait_for(blobs, 3) == ["begin", "epoch", "request"]
    live.tell({"event": "after"})
    assert [event["event"] for event in log] == ["before", "epoch"]
    assert len(events(blobs)) == 3


def test_after_an_error_everything_is_told(blobs):
    with pytest.raises(ValueError, match="x"), streamed(Stream(blobs, FOLDER, 1e6)):
        warn_and_raise()
    last = read(blobs, FOLDER)[-1]
    assert (last["event"], last["level"], last["message"]) == ("message", "WARNING", "look here")
    assert last["time"] == pytest.approx(time.time(), abs=600)


def test_files_are_bounded(blobs, monkeypatch):
    monkeypatch.setattr(live, "CHUNK_BYTES", 100)
    stream = Stream(blobs, FOLDER)
    for number in range(5):
        stream.tell({"event": f"{number}" * 60})
        stream._send()
    assert len(blobs.names(FOLDER)) == 3
    assert [event[0] for event in events(blobs)] == list("01234")


def test_a_storage_that_does_not_answer_is_tried_again_and_memory_is_bounded(blobs, monkeypatch):
    stream = Stream(blobs, FOLDER)
    write = blobs.write

    def refuse(name, data):
        raise StoreError("no")

    blobs.write = refuse
    monkeypatch.setattr(live, "MOST_BYTES", 150)
    for number in range(5):
        stream.tell({"event": f"{number}" * 10})
        stream._send()
    blobs.write = write
    stream._send()
    assert [event[0] for event in events(blobs)] == list("234")
