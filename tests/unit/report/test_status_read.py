"""What a status says of runs that go on, end, fail, die and are started again."""

import json
import time

import pytest
from status_toys import ESTIMATE, RUN, START, Clock, Driver, key_of, node, plan, reader

from erase_ray.errors import StoreError
from erase_ray.experiment import live
from erase_ray.experiment.lease import _place as lease_place
from erase_ray.experiment.plan import Plan
from erase_ray.experiment.store import Store
from erase_ray.report.status.history import Session, alive_seconds, sessions
from erase_ray.report.status.nodes import Tally
from erase_ray.report.status.standing import RunState

BASE, SCIF, RETRAIN = "toy/bpr/base/s2", "toy/bpr/scif/s2", "toy/bpr/retrain/s2"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["file", "memory"])
def storage(request, tmp_path):
    return str(tmp_path) if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture
def driver(storage, monkeypatch, clock):
    return Driver(storage, monkeypatch, clock)


def test_while_it_runs(storage, driver, clock):
    driver.finish("data/toy", 5, device="cpu")
    driver.finish(BASE, 40, device="cuda")
    driver.start(SCIF)
    driver.wait(15)
    clock.now += 4
    status = reader(storage, clock).read()
    assert (status.run, status.state, status.is_newest) == (RUN, RunState.RUNNING, True)
    assert status.tally == Tally(all=8, done=2, running=1, left=5)
    assert [(n.label, n.gone_s, n.tries) for n in status.running] == [(SCIF, 19.0, 1)]
    assert [(o.label, o.seconds) for o in status.recent] == [(BASE, 40.0), ("data/toy", 5.0)]
    assert not status.is_over


def test_groups_and_levels(storage, driver, clock):
    driver.finish("data/toy", 5)
    driver.wait(10)
    status = reader(storage, clock).read()
    levels = status.levels()
    # each task has one dataset and one model here, so those would only be other names
    assert list(levels) == ["task", "method"]
    assert levels["task"] == {"cf": Tally(4, 1, left=3), "session_based": Tally(4, left=4)}
    assert levels["method"]["data"] == Tally(2, 1, left=1)


def test_work_time_and_money(storage, driver, clock):
    driver.finish("data/toy", 36, device="cpu")
    driver.finish(BASE, 360, device="cuda")
    driver.wait(204)
    driver.status.end()
    spending = reader(storage, clock).read().spending
    assert spending.latest == spending.total
    assert spending.total.cpu_hours == pytest.approx(0.01)
    assert spending.total.gpu_hours == pytest.approx(0.5 * 0.1)
    assert spending.total.seconds == 600.0
    assert spending.total.dollars == pytest.approx(2.0)
    planned = spending.planned
    assert (planned.gpu_hours, planned.seconds, planned.dollars) == (0.5, 1800.0, 6.0)


def test_time_left(storage, driver, clock):
    driver.finish("data/toy", 2)
    driver.finish("data/clicks", 2)
    driver.wait(20)
    # as fast as expected, 80 s are left in two places; the longest chain takes 20
    assert reader(storage, clock).read().left_s == 40.0
    driver.finish(BASE, 40)
    driver.wait(10)
    # (44 + 20) / (14 + 20) times slower than the plan thought, 70 s are left
    assert reader(storage, clock).read().left_s == pytest.approx(70 * 64 / 34 / 2)


def test_a_cell_that_tells_how_fast_it_is_counts_as_it_says(storage, driver, clock):
    driver.finish("data/toy", 2)
    driver.start(BASE)
    driver.wait(20)
    with driver.store.stream(key_of(BASE)) as stream:
        stream.tell({"event": "request", "request": 0, "time": clock.now - 100})
        stream.tell({"event": "request", "request": 1, "time": clock.now})
        stream._send()
    pace = reader(storage, clock).read().running[0].pace
    assert (pace.unit, pace.position, pace.per_second) == ("request", 2, 0.01)


def test_where_a_cell_runs(storage, driver, clock, monkeypatch):
    driver.start(BASE)
    driver.wait(10)
    monkeypatch.setattr("socket.gethostname", lambda: "machine-7")
    lease_place.cache_clear()
    lease = driver.store.lease(None, key_of(BASE), "driver")
    assert lease.acquire() is None
    host = reader(storage, clock).read().running[0].host
    lease.release()
    lease_place.cache_clear()
    assert host == "machine-7"
    assert reader(storage, clock).read().running[0].host == ""


def test_of_a_long_chain_only_the_end_is_read(storage, driver, clock, monkeypatch):
    monkeypatch.setattr(live, "CHUNK_BYTES", 1000)
    driver.start(BASE)
    driver.wait(10)
    stream = driver.store.stream(key_of(BASE))
    for number in range(100):
        stream.tell({"event": "request", "request": number, "time": clock.now + number})
        stream._send()
    looking = reader(storage, clock)
    names = looking._files._blobs.names(f"cells/{key_of(BASE)[:2]}/{key_of(BASE)}/live")
    assert len(names) > 4
    read = record_reads(looking, monkeypatch)
    pace = looking.read().running[0].pace
    assert (pace.position, pace.per_second) == (100, 1.0)
    assert [name for name in read if "/live/" in name] == names[-2:]


def record_reads(looking, monkeypatch):
    """Names of what is read from now on."""
    read, kind = [], type(looking._files._blobs)
    get = kind.read
    monkeypatch.setattr(kind, "read", lambda self, name: read.append(name) or get(self, name))
    return read


def test_silent_after_a_minute(storage, driver, clock):
    driver.start("data/toy")
    driver.wait(30)
    clock.now += 59
    assert reader(storage, clock).read().state == RunState.RUNNING
    clock.now += 2
    status = reader(storage, clock).read()
    assert (status.state, status.left_s, status.is_over) == (RunState.SILENT, None, False)
    assert [(n.label, n.gone_s) for n in status.running] == [("data/toy", 30.0)]
    # nobody was at work since it fell silent
    assert status.spending.total.seconds == 30.0


def test_a_failure_and_what_needs_it(storage, driver, clock):
    driver.finish("data/toy", 5)
    driver.start(BASE)
    driver.wait(7)
    driver.walk.fail(key_of(BASE), "TrainingError: no", "Traceback ...")
    status = reader(storage, clock).read()
    assert [(f.labels, f.error, f.num_blocked) for f in status.failures] == [
        ([BASE], "TrainingError: no", 1)
    ]
    assert status.tally == Tally(all=8, done=1, failed=1, blocked=1, left=5)
    assert (status.recent[0].what, status.recent[0].seconds) == ("failed", 7.0)
    driver.status.end()
    assert reader(storage, clock).read().state == RunState.FAILED


def test_tried_again(storage, driver, clock):
    driver.start("data/toy")
    driver.wait(7)
    driver.walk.again(key_of("data/toy"), "node", "its machine is gone")
    driver.start("data/toy")
    driver.wait(10)
    status = reader(storage, clock).read()
    assert status.again == {"node": 1}
    assert status.running[0].tries == 2
    # the try that came to nothing was work as well
    assert status.spending.total.cpu_hours == pytest.approx(7 / 3600)


def test_stopped_and_started_again(storage, driver, clock, monkeypatch):
    driver.finish("data/toy", 60)
    driver.start(BASE)
    driver.status.end()
    status = reader(storage, clock).read()
    assert (status.state, status.running, status.left_s) == (RunState.STOPPED, [], None)
    assert status.tally == Tally(all=8, done=1, left=7)
    clock.now += 5000
    done = Plan([_done_data(), *(n for n in plan().nodes.values() if n.label != "data/toy")])
    again = Driver(storage, monkeypatch, clock, done)
    again.finish(BASE, 40)
    again.wait(10)
    status = reader(storage, clock).read()
    assert status.tally.done == 2
    spending = status.spending
    assert spending.num_sessions == 2
    assert (spending.latest.seconds, spending.total.seconds) == (50.0, 110.0)


def _done_data():
    return node("toy", "", "data", done=True, requested=False)


def test_done(storage, monkeypatch, clock):
    driver = Driver(storage, monkeypatch, clock, Plan([node("toy", "", "data")]))
    driver.finish("data/toy", 5)
    driver.status.end()
    status = reader(storage, clock).read()
    assert (status.state, status.is_over, status.tally.share_done) == (RunState.DONE, True, 1.0)


def test_the_run_that_was_written_to_last_comes_first(storage, driver, clock, monkeypatch):
    time.sleep(0.02)
    Driver(storage, monkeypatch, clock, run="other")
    looking = reader(storage, clock)
    assert looking.read().run == "other"
    first = looking.read(RUN)
    assert (first.run, first.is_newest, first.num_runs) == (RUN, False, 2)
    assert [(o.name, o.state) for o in first.others] == [("other", RunState.RUNNING)]


def test_no_run_and_no_such_run(storage, clock):
    Store(storage).flush()
    if storage.startswith("memory"):
        Store(storage).put_run("x", "y", "z")
    else:
        with pytest.raises(StoreError, match=r"there is no run in the store at .*--storage"):
            reader(storage, clock).read()
        Store(storage).put_run("x", "y", "z")
    with pytest.raises(StoreError, match=r"no run of the store at .* is called 'z'\. Known: x"):
        reader(storage, clock).read("z")


def test_a_run_that_had_nothing_to_do(storage, clock):
    Store(storage).put_run("all-there", "report/index.html", "<html>")
    status = reader(storage, clock).read()
    assert (status.state, status.is_over, status.tally.all) == (RunState.UNKNOWN, True, 0)
    assert status.page.endswith("runs/all-there/report/index.html")


def test_a_run_of_an_earlier_version(storage, driver, clock):
    """Its status had labels alone, its events no times of their own, its plan no tasks."""
    nodes = json.loads(plan().to_json())
    driver.store.put_run(RUN, "plan.json", json.dumps(nodes))
    old = {
        "state": "running",
        "updated": driver.iso(),
        "running": [SCIF],
        "failed": [],
        "blocked": [],
    }
    driver.store.put_run(RUN, "status.json", json.dumps(old))
    event = {"event": "finished", "key": key_of(BASE), "label": BASE, "seconds": 3.0}
    driver.store.append_event(RUN, "driver", {"time": driver.iso(), "events": [event]})
    status = reader(storage, clock).read()
    assert status.tally == Tally(all=8, done=1, running=1, left=6)
    assert (status.running[0].gone_s, status.recent[0].at) == (None, START)
    assert list(status.levels()["task"]) == ["cf", "session_based"]


def test_time_of_several_drivers_counts_once():
    assert alive_seconds([(10, 20), (15, 30), (40, 41)]) == 21


def test_a_driver_that_was_killed_and_files_beyond_the_first():
    batches = {
        "b": [{"time": "2026-01-01T00:10:00+00:00", "events": [{"event": "begin", "host": "x"}]}],
        "a": [
            {"time": "2026-01-01T00:00:00+00:00", "events": [{"event": "begin", "host": "y"}]},
            {"time": "2026-01-01T00:05:00+00:00", "events": [{"event": "alive"}]},
        ],
    }
    first, second = sessions(batches)
    assert first == Session("a", "y", first.began, first.began + 300, "")
    assert second.seen == second.began == first.began + 600


def test_what_has_not_changed_is_not_read_again(storage, driver, clock, monkeypatch):
    driver.finish("data/toy", 5)
    driver.wait(10)
    looking = reader(storage, clock)
    looking.read()
    read = record_reads(looking, monkeypatch)
    looking.read()
    assert read == [f"runs/{RUN}/status.json"]


def test_fifteen_thousand_cells(tmp_path, monkeypatch, clock):
    """Under five seconds of processor time, and few files."""
    methods = [f"m{number}" for number in range(1500)]
    nodes = [node(f"d{n % 10}", "bpr", method) for method in methods for n in range(10)]
    driver = Driver(str(tmp_path), monkeypatch, clock, Plan(nodes))
    for each in nodes[:14_000]:
        driver.walk.handed.add(each.key)
        driver.walk.start(each.key)
        driver.walk.finish(each.key, {"seconds": 1.0, "status": "done", "peak_memory_mb": 1000})
        clock.now += 0.1
        driver.status.tick()
    driver.wait(20)
    began = time.process_time()
    status = reader(str(tmp_path), clock).read()
    assert time.process_time() - began < 5
    assert status.tally == Tally(all=15_000, done=14_000, left=1000)
    assert len(status.groups) == 15_000
    # one second each, as measured, in the two places of the estimate
    assert status.left_s == pytest.approx(1000 * 10 * 14_020 / 140_020 / ESTIMATE["slots"])
