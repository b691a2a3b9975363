"""Who may work on something: taken once, void when its holder is gone or silent."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from erase_ray.experiment import lease as lease_module
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.lease import Lease, Seen

ELSEWHERE = {"place": "another machine", "pid": os.getpid(), "birth": "1"}


@pytest.fixture
def blobs(tmp_path):
    return open_blobs(str(tmp_path / "store"))


def lease(blobs, driver="d1"):
    return Lease(blobs, "cells/ab/abc/lease", driver)


def held_elsewhere(blobs, beat=3, generation=1, **holder):
    content = {"driver": "other", "try": "t", "beat": beat} | ELSEWHERE | holder
    blobs.write(f"cells/ab/abc/lease/{generation:06d}", json.dumps(content).encode())
    return f"{generation}/{beat}/t"


def test_is_taken_and_given_back(blobs):
    one = lease(blobs)
    assert one.acquire() is None
    assert blobs.names("cells") == ["cells/ab/abc/lease/000001"]
    one.release()
    assert blobs.names("cells") == []


def test_another_driver_is_told_who_holds_it(blobs):
    token = held_elsewhere(blobs)
    assert lease(blobs).acquire() == token
    assert lease(blobs).acquire(Seen(token, lease_module.TTL_S - 1)) == token


def test_what_did_not_change_for_long_is_void_whatever_its_clock(blobs):
    token = held_elsewhere(blobs)
    two = lease(blobs)
    assert two.acquire(Seen(token, lease_module.TTL_S)) is None
    assert blobs.names("cells")[-1].endswith("000002")
    two.release()


def test_a_beat_keeps_it(blobs):
    token = held_elsewhere(blobs)
    newer = held_elsewhere(blobs, beat=4)
    assert lease(blobs).acquire(Seen(token, 1e9)) == newer


def test_an_earlier_try_of_the_same_driver_is_over(blobs):
    held_elsewhere(blobs, driver="d1")
    two = lease(blobs)
    assert two.acquire() is None
    two.release()


def test_a_process_of_this_machine_that_is_gone_holds_nothing(blobs):
    program = (
        "import sys; from erase_ray.experiment._open import open_blobs\n"
        "from erase_ray.experiment.lease import Lease\n"
        "Lease(open_blobs(sys.argv[1]), 'cells/ab/abc/lease', 'gone').acquire()"
    )
    subprocess.run([sys.executable, "-c", program, blobs.full_address], check=True)
    assert len(blobs.names("cells")) == 1
    two = lease(blobs)
    assert two.acquire() is None
    two.release()


def test_a_process_of_this_machine_that_lives_holds_it(blobs):
    one = lease(blobs)
    one.acquire()
    assert lease(blobs, "d2").acquire().startswith("1/0/")
    one.release()


def test_only_one_can_take_over(blobs, monkeypatch):
    token = held_elsewhere(blobs)
    one, two = lease(blobs, "d1"), lease(blobs, "d2")
    in_force = two._in_force
    first = in_force()
    answers = [first]
    monkeypatch.setattr(two, "_in_force", lambda: answers.pop() if answers else in_force())
    assert one.acquire(Seen(token, 1e9)) is None
    assert two.acquire(Seen(token, 1e9)).startswith("2/0/")
    one.release()


def test_beats_are_written_until_it_is_given_back(blobs, monkeypatch):
    monkeypatch.setattr(lease_module, "TTL_S", 0.04)
    one = lease(blobs)
    one.acquire()
    assert _wait(lambda: _beat(blobs) >= 2)
    one.release()
    assert blobs.names("cells") == []


def test_a_beat_on_its_way_does_not_put_it_back(blobs, monkeypatch):
    monkeypatch.setattr(lease_module, "TTL_S", 0.04)
    monkeypatch.setattr(lease_module, "JOIN_S", 0.01)
    one, write, begun, go_on = lease(blobs), blobs.write, threading.Event(), threading.Event()

    def slow(name, data):
        begun.set()
        go_on.wait(30)
        write(name, data)

    monkeypatch.setattr(blobs, "write", slow)
    one.acquire()
    assert begun.wait(30)
    one.release()
    go_on.set()
    one._thread.join(30)
    assert blobs.names("cells") == []


def test_a_damaged_lease_is_waited_for_like_any_other(blobs):
    blobs.write("cells/ab/abc/lease/000001", b"{")
    token = lease(blobs).acquire()
    assert token == "1/None/None"
    two = lease(blobs)
    assert two.acquire(Seen(token, 1e9)) is None
    two.release()


def _beat(blobs):
    return json.loads(blobs.read("cells/ab/abc/lease/000001"))["beat"]


def _wait(condition):
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
