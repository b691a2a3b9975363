import json

import pytest
from fake_report_store import add_small

from erase_ray.errors import SettingsError
from erase_ray.report.choose import choose
from erase_ray.report.evidence import gather
from erase_ray.report.options import Options
from erase_ray.report.read import CellInfo, read_cells
from erase_ray.report.run_files import read_runs

LABEL = "toy/bpr/scif/s0"


def labels(store, only: str) -> list[str]:
    return [cell.label for cell in choose(read_cells(store, store.keys()), only)]


def test_a_method_is_kept_with_what_it_is_compared_with(two_seeds):
    two_seeds.add("toy", "bpr", "seif", {})
    found = labels(two_seeds, "method=scif,seed=0")
    assert found == [
        "toy/bpr/original/s0",
        *(f"toy/bpr/retrain@{n}/s0" for n in range(1, 5)),
        LABEL,
    ]


def test_several_values_and_marks(small):
    assert len(labels(small, "mark=2|4,dataset=toy")) == 4  # chains pass all marks


def test_cells_that_nobody_knows_match_nothing(small):
    cells = [*read_cells(small, small.keys()), CellInfo("ab" * 32)]
    assert len(choose(cells, "")) == 7
    assert len(choose(cells, "task=cf")) == 6


@pytest.mark.parametrize(
    ("only", "text"),
    [
        ("method", "--only expects key=value, got 'method'"),
        ("methd=scif", "--only methd=scif: no key 'methd'. Known: task, dataset"),
        ("model=sgl", "--only model=sgl leaves no cell: none has model=sgl"),
        ("method=gif", "leaves no cell: none has method=gif"),
    ],
)
def test_choices_that_cannot_be(small, only, text):
    with pytest.raises(SettingsError, match=text):
        labels(small, only)


def test_plans_name_the_cells_that_are_to_come(store):
    store.put_plan("one", {"k1": LABEL})
    store.put_plan("two", {"k2": "toy/bpr/seif/s0"})
    assert read_runs(store).labels == {"k1": LABEL, "k2": "toy/bpr/seif/s0"}
    assert read_runs(store, "one").labels == {"k1": LABEL}


def test_data_base_and_shadow_models_are_no_cells_of_a_report(store):
    for kind in ("data", "base", "shadow"):
        store.put_plan("one", {"k": "data/toy"}, kind)
        assert read_runs(store).labels == {}


def test_a_planned_cell_without_settings_is_called_as_in_the_plan(store):
    (cell,) = read_cells(store, ["k"], titles={"k": LABEL})
    assert cell.label == LABEL


def test_failures_have_kind_tries_and_traceback(store):
    store.put_status("one", [{"key": "k", "label": LABEL, "error": "TrainingError: nan"}])
    store.run_events["one"] = [
        {
            "time": "t",
            "events": [
                {"event": "begin", "host": "node-1"},
                {"event": "again", "key": "k", "label": LABEL, "kind": "memory", "error": "m"},
                {"event": "failed", "key": "k", "label": LABEL, "error": "x", "traceback": "T\nE"},
            ],
        }
    ]
    (failure,) = read_runs(store).failures
    assert (failure.kind, failure.attempts, failure.where) == ("memory", 2, "node-1")
    assert (failure.error, failure.trace) == ("TrainingError: nan", "T\nE")


def test_the_kind_of_a_failure_is_its_class_where_nobody_says(store):
    store.put_status("one", [{"key": "k", "label": LABEL, "error": "StoreError: gone"}])
    (failure,) = read_runs(store).failures
    assert (failure.kind, failure.attempts) == ("StoreError", 1)


def test_what_waits_for_a_failed_cell_says_so(store):
    store.put_plan("one", {"k2": "toy/bpr/gif/s0"})
    status = {"failed": [{"key": "k", "label": "toy/bpr/base/s0", "error": "x"}]}
    status["blocked"] = [{"key": "k2", "label": "toy/bpr/gif/s0", "needs": "k"}]
    store.run_files["one", "status.json"] = json.dumps(status)
    runs = read_runs(store)
    assert runs.blocked == {"k2": "needs toy/bpr/base/s0, which failed"}
    cells = gather(store, runs.labels, Options(), runs=runs).frames["cells"]
    assert cells[["task", "method", "state", "error"]].to_dict("records") == [
        {"task": "cf", "method": "gif", "state": "missing", "error": runs.blocked["k2"]}
    ]


def test_damaged_run_files_count_as_not_there(store):
    store.run_files["one", "plan.json"] = "{half"
    store.run_files["one", "status.json"] = json.dumps([1])
    found = read_runs(store)
    assert (found.names, found.labels, found.failures) == (("one",), {}, ())


def test_an_unknown_run(store):
    add_small(store)
    store.put_plan("one", {})
    with pytest.raises(SettingsError, match=r"no run is called 'two'\. Known: one"):
        read_runs(store, "two")
