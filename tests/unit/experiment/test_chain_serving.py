"""What each request of a chain is given, how long it may take, and what is kept of it."""

import numpy as np
import pytest
import torch
from chain_toys import NEVER, Shelf, chain_cell, prepared

from erase_ray.experiment.cell import Part
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.costs import request_costs
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.setting import Setting
from erase_ray.methods import METHODS, Method, Outcome
from tests.conftest import CPU


class Slow(Method):
    """Takes its time with every second request, and looks at the clock."""

    name = "slow"
    seen: list = []

    def forget(self, model, request):
        self.seen.append(request)
        with torch.no_grad():
            for weight in self.changes(model).values():
                weight += 1
        request.state["last"] = torch.tensor(request.spec.id)
        if request.spec.id % 2:
            while not request.deadline.passed():
                torch.zeros(10)
            return Outcome("timed_out", f"{request.deadline.limit_s:g} s were over")
        return Outcome("applied", details={"last": float(request.state["last"])})


@pytest.fixture(autouse=True)
def more_methods(monkeypatch):
    monkeypatch.setattr(Slow, "seen", [])
    for kind in (Slow, Shelf):
        monkeypatch.setitem(METHODS._classes, kind.name, kind)


def served(cell, tmp_path):
    store = prepared(cell, tmp_path)
    assert run_cell(cell, store, CPU, NEVER)
    return store, store.table(cell.key, "requests")


def test_a_request_that_takes_too_long_changes_nothing(tmp_path):
    cell = chain_cell("bpr", "slow", limit_s=0.01)
    store, requests = served(cell, tmp_path)
    assert requests["status"].tolist() == ["applied", "timed_out"] * 4 + ["applied"]
    late = requests[requests["status"] == "timed_out"]
    assert set(late["reason"]) == {"0.01 s were over"}
    assert (late["step_norm"] == 0).all()
    base = store.get_weights(store.manifest(cell.base.key)["weights"]["0"])
    last = store.get_weights(store.manifest(cell.key)["weights"]["4"])
    for name, weight in base.items():
        expected = weight.clone()
        for _ in range(5):
            expected += 1
        assert torch.equal(last[name], expected)
    assert store.manifest(cell.key)["facts"]["outcomes"] == {"applied": 5, "timed_out": 4}


def test_marks_do_not_move_when_requests_are_late(tmp_path):
    cells = [chain_cell("bpr", "slow", limit_s=0.01), chain_cell("bpr", "none")]
    marks = [served(cell, tmp_path)[1]["mark"].tolist() for cell in cells]
    assert marks[0] == marks[1] == [1, 1, 1, 2, 2, 3, 3, 4, 4]


def test_every_request_sees_who_and_what_went_before(tmp_path):
    cell = chain_cell("bpr", "slow", limit_s=0.01)
    store, _ = served(cell, tmp_path)
    chain = Setting.load(cell, store, CPU).chain
    for number, (spec, request) in enumerate(zip(chain.requests, Slow.seen, strict=True)):
        before = chain.requests[:number]
        rows = [one.rows for one in before]
        assert np.array_equal(request.forgotten, np.concatenate([*rows, spec.rows[:0]]))
        users = [one.users for one in (*before, spec)]
        assert request.asked.tolist() == np.concatenate(users).tolist()
        assert request.asked.dtype == torch.int64


def test_nothing_is_copied_from_request_to_request(tmp_path):
    """Views of one array each: the cost of a request does not grow along the chain."""
    served(chain_cell("bpr", "slow", limit_s=0.01), tmp_path)
    assert len({request.asked.untyped_storage().data_ptr() for request in Slow.seen}) == 1
    assert all(np.shares_memory(Slow.seen[-1].forgotten, r.forgotten) for r in Slow.seen[1:])


def test_baselines_are_served_by_what_serves_them(tmp_path):
    cell = chain_cell("pop", "original")
    cell = cell.model_copy(update={"method": Part.resolved(METHODS, "none", {})})
    _, requests = served(cell, tmp_path)
    assert len(requests) == 9
    assert set(requests["status"]) <= {"applied", "empty"}


def test_a_method_that_trains_has_its_training_among_the_costs(tmp_path):
    cell = chain_cell("bpr", "shelf")
    store, _ = served(cell, tmp_path)
    assert not store.has_cell(cell.base.key)
    costs = store.table(cell.key, "costs")
    trained = costs[costs["metric"] == "seconds_train"]
    assert trained["mark"].tolist() == [1, 2, 3, 4]
    seconds = store.manifest(cell.key)["facts"]["seconds_begin"]
    assert trained["value"].tolist() == [seconds] * 4
    assert [event["event"] for event in store.log(cell.key)].count("trained") == 1


def test_phases_and_percentiles(tmp_path):
    cell = chain_cell("bpr", "none")
    store, requests = served(cell, tmp_path)
    requests["seconds_data"] = 1.0
    requests["seconds_algorithm"] = [0.0, 1, 2, 3, 4, 5, 6, 7, 100]
    requests["seconds_save"] = 0.5
    costs = request_costs(Setting.load(cell, store, CPU), requests)
    last = costs[costs["mark"] == 4].set_index("metric")["value"]
    assert last["seconds_data"] == 1
    assert last["seconds_algorithm"] == pytest.approx(128 / 9)
    assert last["seconds_save"] == 0.5
    assert last["seconds_request"] == pytest.approx(1 + 128 / 9)
    # positions 4, 7.6 and 7.92 of the sorted 1, 2, ..., 8, 101
    assert last["seconds_request_p50"] == 5
    assert last["seconds_request_p95"] == pytest.approx(8 + 0.6 * 93)
    assert last["seconds_request_p99"] == pytest.approx(8 + 0.92 * 93)
    first = costs[costs["mark"] == 1].set_index("metric")["value"]
    assert first["seconds_request_p99"] == pytest.approx(1 + 1.98)
    assert (costs[costs["mark"] == 1]["n"] == 3).all()


def test_saving_counts_measuring_at_the_marks(tmp_path):
    _, requests = served(chain_cell("bpr", "none"), tmp_path)
    at_mark = requests["request"].isin([2, 4, 6, 8])
    assert requests[at_mark]["seconds_save"].min() > requests[~at_mark]["seconds_save"].max()


def test_the_device_is_waited_for_at_every_reading(tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("erase_ray.experiment.chain._synchronise", waits.append)
    cell = chain_cell("bpr", "none")
    store = prepared(cell, tmp_path)
    original = ChainRunner._clock
    readings = []
    monkeypatch.setattr(ChainRunner, "_clock", lambda self: readings.append(1) or original(self))
    run_cell(cell, store, CPU, NEVER)
    # two for begin, three and three for a request, and one in the attempt itself
    assert len(readings) == 2 + 6 * 9
    assert len(waits) == len(readings) + 9
