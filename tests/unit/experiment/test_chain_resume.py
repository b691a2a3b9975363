"""A chain that is killed anywhere ends in the same bytes as one that is not."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from chain_toys import (
    ALWAYS,
    AT_MARKS,
    NEVER,
    Interrupted,
    Shelf,
    assert_same,
    chain_cell,
    journal_files,
    prepared,
)

from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.chain_journal import Pace
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.setting import Setting
from erase_ray.methods import METHODS, Outcome
from tests.conftest import CPU

QUICK = {
    "scif": {"num_retain": 16, "max_iterations": 3},
    "seif": {"min_retain": 16, "retain_factor": 1, "repair_epochs": 1},
}
PAIRS = [
    ("bpr", "scif"),
    ("gru4rec", "seif"),
    ("lightgcn", "scif"),
    ("lightgcn", "seif"),
    ("sets2sets", "scif"),
    ("bpr", "shelf"),
    ("lightgcn", "shelf"),
]


@pytest.fixture(scope="module", autouse=True)
def shelf():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS._classes, "shelf", Shelf)
        yield


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def unbroken(request, tmp_path_factory):
    """A cell, and a store in which it was run without a stop."""
    model, method = request.param
    cell = chain_cell(model, {method: QUICK.get(method, {})})
    store = prepared(cell, tmp_path_factory.mktemp("unbroken"))
    assert run_cell(cell, store, CPU, NEVER)
    return cell, store


def test_killed_anywhere_ends_in_the_same_bytes(unbroken, tmp_path):
    cell, store = unbroken
    broken = Interrupted(cell, tmp_path)
    broken.run([1, 4, 5, 8], ALWAYS)
    assert broken.served == list(range(9))
    assert_same(cell, store, broken.store)
    assert journal_files(broken.store, cell) == []


def test_what_came_after_the_last_snapshot_is_done_again(unbroken, tmp_path):
    cell, store = unbroken
    broken = Interrupted(cell, tmp_path)
    # marks are after 3, 5, 7 and 9 requests
    broken.run([2, 4, 8], AT_MARKS)
    assert broken.served == [0, 1, *range(4), *range(3, 8), 7, 8]
    assert_same(cell, store, broken.store)


def test_a_torn_snapshot_costs_a_request_and_no_bit(unbroken, tmp_path, caplog):
    cell, store = unbroken
    broken = Interrupted(cell, tmp_path)
    broken.kill(6, ALWAYS)
    newest = journal_files(broken.store, cell)[-1]
    path = Path(broken.store.uri, "cells", cell.key[:2], cell.key, "journal", newest)
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.INFO):
        broken.run([], ALWAYS)
    assert broken.served == [*range(6), 5, 6, 7, 8]
    assert f"snapshot {newest} is passed over" in caplog.text
    assert f"{cell.label} goes on after request 5 of 9" in caplog.text
    assert_same(cell, store, broken.store)


def test_seconds_come_back_too(unbroken, tmp_path):
    cell, _ = unbroken
    broken = Interrupted(cell, tmp_path)
    broken.run([7], ALWAYS)
    requests = broken.store.table(cell.key, "requests")
    assert (requests["seconds_algorithm"] > 0).all()
    assert (requests["seconds_data"] > 0).all()
    costs = broken.store.table(cell.key, "costs")
    trained = costs[costs["metric"] == "seconds_train"]
    assert trained["mark"].tolist() == ([1, 2, 3, 4] if cell.method.name == "shelf" else [])
    assert (trained["value"] > 0).all()


CHILD = """
import os, sys, signal
sys.path[:0] = {paths!r}
from chain_toys import ALWAYS, chain_cell
from erase_ray.experiment.chain import ChainRunner
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.store import Store
import torch
torch.set_num_threads(1)
original = ChainRunner._serve_one
def serve(runner, spec, *rest):
    print(spec.id, flush=True)
    return original(runner, spec, *rest)
ChainRunner._serve_one = serve
run_cell(chain_cell("bpr", {{"scif": {settings!r}}}), Store({uri!r}), torch.device("cpu"), ALWAYS)
"""


def test_killed_by_the_system(tmp_path):
    """SIGKILL at a moment that nobody chose, somewhere about the seventh request."""
    cell = chain_cell("bpr", {"scif": QUICK["scif"]})
    whole, broken = prepared(cell, tmp_path / "whole"), prepared(cell, tmp_path / "broken")
    run_cell(cell, whole, CPU, NEVER)
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
    code = CHILD.format(paths=paths, settings=QUICK["scif"], uri=broken.uri)
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == 6:
            child.kill()
    child.wait()
    assert not broken.has_cell(cell.key)
    assert journal_files(broken, cell)
    run_cell(cell, broken, CPU, ALWAYS)
    assert_same(cell, whole, broken)
    assert journal_files(broken, cell) == []


def test_a_journal_of_another_chain_is_passed_over(tmp_path, caplog):
    cell = chain_cell("bpr", {"scif": QUICK["scif"]})
    broken = Interrupted(cell, tmp_path)
    identity = {"chain": "another", "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Setting, "journal", lambda _, store: store.journal(cell.key, identity))
        broken.kill(5, ALWAYS)
    assert journal_files(broken.store, cell)
    broken.run([], ALWAYS)
    assert broken.served == [*range(5), *range(9)]
    assert "is passed over: it belongs to {'cell': '" in caplog.text


@pytest.mark.parametrize(
    ("pace", "positions"),
    [
        (NEVER, []),
        (AT_MARKS, [3, 5]),
        (Pace(every_s=0.0, mark_s=0.0, share=1e-9), [0]),
        (ALWAYS, [5, 6]),
    ],
)
def test_when_snapshots_are_taken(pace, positions, tmp_path):
    cell = chain_cell("bpr", {"scif": QUICK["scif"]})
    broken = Interrupted(cell, tmp_path)
    broken.kill(6, pace)
    assert [int(name.partition("-")[0]) for name in journal_files(broken.store, cell)] == positions


def test_a_leftover_journal_of_a_committed_cell_is_deleted(tmp_path):
    cell = chain_cell("bpr", {"scif": QUICK["scif"]})
    store = prepared(cell, tmp_path)
    run_cell(cell, store, CPU, NEVER)
    left = Path(store.uri, "cells", cell.key[:2], cell.key, "journal", "left")
    left.parent.mkdir()
    left.touch()
    assert store.done_cells() >= {cell.key}
    assert not run_cell(cell, store, CPU)
    assert not left.parent.exists()


def test_state_is_remembered_only_where_the_outcome_is_applied(tmp_path):
    cell = chain_cell("bpr", "shelf")
    store = prepared(cell, tmp_path)
    run_cell(cell, store, CPU, NEVER)
    requests = store.table(cell.key, "requests")
    assert requests["status"].tolist() == ["applied", "skipped", "applied"] * 3
    details = [json.loads(text) for text in requests["details"]]
    assert [one["served"] for one in details if one] == [0, 1, 2, 3, 4, 5]


def test_state_that_is_edited_in_place_cannot_be_put_back(tmp_path, monkeypatch):
    def forget(self, model, request):
        request.state["sum"] += 1
        return Outcome("skipped", "for no reason")

    monkeypatch.setattr(Shelf, "forget", forget)
    cell = chain_cell("bpr", "shelf")
    store = prepared(cell, tmp_path)
    with pytest.raises(AssertionError, match=r"edited \['sum'\] of its state in place"):
        run_cell(cell, store, CPU, NEVER)


def test_edges_are_gone_after_a_resume(tmp_path):
    cell = chain_cell("lightgcn", {"scif": QUICK["scif"]})
    broken = Interrupted(cell, tmp_path)
    seen = []
    original = ChainRunner.go_on

    def go_on(runner, **kept):
        before = int(runner.model.graph.degree.sum())
        original(runner, **kept)
        seen.append((before, int(runner.model.graph.degree.sum())))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainRunner, "go_on", go_on)
        broken.run([6], ALWAYS)
    (before, after), *rest = seen
    assert not rest
    requests = broken.store.table(cell.key, "requests")
    assert before - after == 2 * requests["num_forget"][:6].sum()
