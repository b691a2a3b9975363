import json

import pandas as pd
import pytest

from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.store import CellRecord, Store

KEY = "cd" * 32
SETTINGS = {
    "dataset": {"name": "toy", "settings": {}},
    "model": {"name": "bpr", "settings": {}},
    "training": {},
    "scenario": None,
    "method": {"name": "original", "settings": {}},
    "seed": 1,
    "mark": None,
}


def filled(folder, value: float) -> str:
    store = Store(str(folder))
    row = dict.fromkeys(RESULTS, "") | {"fraction": 0.1, "seed": 1, "mark": 4, "k": 20, "n": 9}
    row |= {"metric": "recall", "value": value}
    store.put_cell(KEY, CellRecord(SETTINGS, results=pd.DataFrame([row])))
    return store.uri


@pytest.fixture
def stores(tmp_path):
    return filled(tmp_path / "a", 0.5), filled(tmp_path / "b", 0.501)


def test_the_exit_code_is_0_if_equal_and_1_if_not(run, stores):
    a, b = stores
    code, out, err = run("compare", a, a)
    assert (code, err) == (0, "")
    assert out.endswith("equal\n")
    code, out, _ = run("compare", a, b)
    assert code == 1
    assert out.endswith("different\n")
    code, out, _ = run("compare", a, b, "--tolerance", "0.01")
    assert code == 0
    assert out.endswith("equal within 0.01\n")


def test_json_is_for_machines(run, stores):
    code, out, _ = run("compare", *stores, "--json")
    found = json.loads(out)
    assert code == 1
    assert found["equal"] is False
    (number,) = found["twins"][0]["numbers"]
    assert (number["metric"], number["a"], number["b"]) == ("recall", 0.5, 0.501)


def test_mistakes_end_with_2_and_one_line(run, stores):
    a, b = stores
    code, out, err = run("compare", a, b, "--only", "sead=1")
    assert (code, out) == (2, "")
    assert err.startswith("error: --only sead=1: expected key=value with a key of ")
    code, _, err = run("compare", a, b, "--run-a", "x")
    assert (code, err) == (2, f"error: no plan of a run 'x'; {a} has no runs\n")
    code, _, err = run("compare", a, b, "--tolerance", "-1")
    assert (code, err) == (2, "error: --tolerance takes a number from 0 on, got -1\n")
    assert run("compare", a, b, "--only", "seed=1")[0] == 1
