import io
import json
import os
from datetime import datetime

from plan_toys import diamond

from erase_ray.errors import StoreError
from erase_ray.experiment.progress import LiveLine, StoredStatus
from erase_ray.experiment.walk import Walk


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


class FakeRunLog:
    def __init__(self):
        self.files, self.events, self.broken = {}, [], False

    def put_run(self, run, name, content):
        if self.broken:
            raise StoreError("away")
        self.files[run, name] = content

    def append_event(self, run, writer, event):
        self.events.append(event)

    def status(self):
        return json.loads(self.files["r", "status.json"])


def begun(watcher):
    walk = Walk(diamond(), [watcher])
    watcher.begin(walk)
    return walk


def run_next(walk, clock, seconds):
    node = walk.next()
    walk.start(node.key)
    walk.running[node.key] = clock.now
    clock.now += seconds
    walk.finish(node.key, {"seconds": seconds})


def test_line_and_time_left():
    clock = Clock()
    line = LiveLine(slots=2, stream=io.StringIO(), clock=clock)
    walk = begun(line)
    # 21 seconds on two slots, nothing measured yet
    assert line.text() == "[0/5] 0 running, 5 left | 0:00 gone, about 0:10 left | -"
    run_next(walk, clock, 2)
    # data took 2 seconds, not 1; with the prior of 20 s that makes the rest 22/21 times as long:
    # 20 * 22/21 = 20.95 seconds on two slots
    assert line.text() == "[1/5] 0 running, 4 left | 0:02 gone, about 0:10 left | -"
    walk.start(walk.next().key)
    walk.running["base"] = clock.now
    clock.now += 1
    # the chain through base and long takes 13 * 22/21 - 1 = 12.6 seconds
    assert line.text() == ("[1/5] 1 running, 3 left | 0:03 gone, about 0:13 left | label of base")


def test_plain_lines_at_finished_nodes_and_every_ten_seconds():
    clock, stream = Clock(), io.StringIO()
    line = LiveLine(slots=2, stream=stream, clock=clock)
    walk = begun(line)
    line.tick()
    assert stream.getvalue() == ""
    run_next(walk, clock, 2)
    assert stream.getvalue() == "[1/5] done label of data in 2.0 s\n"
    clock.now += 9
    line.tick()
    assert stream.getvalue().splitlines()[1].startswith("[1/5] 0 running, 4 left | 0:11 gone")
    line.tick()
    assert len(stream.getvalue().splitlines()) == 2


def test_failures_are_said_with_what_hangs_on_them():
    stream = io.StringIO()
    line = LiveLine(slots=2, stream=stream, clock=Clock())
    walk = begun(line)
    walk.start(walk.next().key)
    walk.fail("data", "ValueError: no")
    text = stream.getvalue()
    assert (
        text == "[0/5] FAILED label of data: ValueError: no (4 nodes that need it are left out)\n"
    )
    assert line.text() == (
        "[0/5] 0 running, 0 left, 1 failed, 4 blocked | 0:00 gone, about 0:00 left | -"
    )


def test_a_terminal_has_one_line_that_is_drawn_anew():
    clock, stream = Clock(), Terminal()
    line = LiveLine(slots=2, stream=stream, clock=clock)
    begun(line)
    clock.now += 1
    line.tick()
    line.end()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r[0/5]") == 3


def test_status_and_events_about_every_ten_seconds():
    clock, log = Clock(), FakeRunLog()
    status = StoredStatus(log, "r", clock)
    walk = begun(status)
    assert json.loads(log.files["r", "plan.json"])["nodes"][0]["key"] == "data"
    assert log.status()["state"] == "running"
    run_next(walk, clock, 2)
    status.tick()
    assert log.status()["done"] == 0
    clock.now += 8
    status.tick()
    assert log.status()["done"] == 1
    (event,) = log.events[-1]["events"]
    assert datetime.fromisoformat(event.pop("time")).tzinfo is not None
    assert event == {"event": "finished", "key": "data", "label": "label of data", "seconds": 2}


def test_a_failure_is_stored_at_once_with_its_traceback():
    clock, log = Clock(), FakeRunLog()
    walk = begun(StoredStatus(log, "r", clock))
    run_next(walk, clock, 1)
    walk.start(walk.next().key)
    clock.now += 3
    walk.fail("base", "ValueError: no", "Traceback ...")
    event = log.events[-1]["events"][-1]
    del event["time"]
    assert event == {
        "event": "failed",
        "key": "base",
        "label": "label of base",
        "seconds": 3.0,
        "error": "ValueError: no",
        "traceback": "Traceback ...",
    }
    found = log.status()
    assert found["failed"] == [{"key": "base", "label": "label of base", "error": "ValueError: no"}]
    assert [entry["needs"] for entry in found["blocked"]] == ["base", "base"]


def test_the_last_state():
    for ended, state in ((True, "done"), (False, "stopped")):
        clock, log = Clock(), FakeRunLog()
        status = StoredStatus(log, "r", clock)
        walk = begun(status)
        while ended and walk.peek():
            run_next(walk, clock, 1)
        status.end()
        assert log.status()["state"] == state


def test_a_store_that_is_away_does_not_stop_the_walk(caplog):
    clock, log = Clock(), FakeRunLog()
    status = StoredStatus(log, "r", clock)
    walk = begun(status)
    run_next(walk, clock, 1)
    log.broken = True
    clock.now += 20
    status.tick()
    assert "cannot write the status of run r: away" in caplog.text
    log.broken = False
    status.end()
    # nothing that happened meanwhile is lost
    assert [event["event"] for event in log.events[-1]["events"]] == ["finished", "end"]


def test_what_runs_is_told_with_its_tries():
    clock, log = Clock(), FakeRunLog()
    status = StoredStatus(log, "r", clock)
    walk = begun(status)
    walk.start(walk.next().key)
    walk.again("data", "node", "its machine is gone")
    walk.start(walk.next().key)
    clock.now += 20
    status.tick()
    (running,) = log.status()["running"]
    assert datetime.fromisoformat(running.pop("started")).tzinfo is not None
    assert running == {"key": "data", "label": "label of data", "tries": 2}
    assert log.status()["driver"]["pid"] == os.getpid()


def test_a_node_that_was_taken_back_does_not_run():
    clock, log = Clock(), FakeRunLog()
    status = StoredStatus(log, "r", clock)
    walk = begun(status)
    walk.start(walk.next().key)
    walk.withdraw("data")
    clock.now += 20
    status.tick()
    assert log.status()["running"] == []


def test_a_sign_of_life_a_minute_while_nothing_happens():
    clock, log = Clock(), FakeRunLog()
    status = StoredStatus(log, "r", clock)
    begun(status)
    for _ in range(12):
        clock.now += 10
        status.tick()
    assert [event["event"] for batch in log.events for event in batch["events"]] == [
        "begin",
        "alive",
        "alive",
    ]
