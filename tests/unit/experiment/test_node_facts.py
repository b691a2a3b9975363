"""What a run tells of its nodes besides plan and label."""

import json
from pathlib import Path

import pytest
from plan_toys import diamond

from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.node_facts import about, expected, plan_json
from erase_ray.experiment.plan import Plan, build

SMOKE = Path(__file__).parents[3] / "jobs/grids/smoke.yaml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return build(load_cells(SMOKE, "task=cf", ["training.epochs=7"]))


def of(plan, kind):
    return next(node for node in plan.nodes.values() if node.kind == kind)


def test_about(plan):
    common = {"task": "cf", "dataset": "planted:cf"}
    assert about(of(plan, "data")) == common
    cell = common | {"model": "bpr", "seed": 2}
    assert about(of(plan, "base")) == cell | {"scenario": ""}
    assert about(of(plan, "scif")) == cell | {"scenario": "sensitive"}


def test_expected(plan):
    scif = of(plan, "scif")
    found = expected(scif)
    assert (found["epochs"], found["chain"][0]) == (7, "planted")
    assert found["chain"][1] == of(plan, "data").key
    assert len(found["chain"][2]) == 64
    # these serve no requests one by one
    for kind in ("base", "original", "retrain"):
        assert expected(of(plan, kind)) == {"epochs": 7}
    assert expected(of(plan, "data")) == {}


def test_plan_json_is_the_plan_and_more(plan):
    plain = json.loads(plan.to_json())["nodes"]
    told = json.loads(plan_json(plan))["nodes"]
    for before, after in zip(plain, told, strict=True):
        assert after == before | about(plan.nodes[before["key"]])


def test_payloads_of_others_tell_nothing():
    assert json.loads(plan_json(diamond())) == json.loads(diamond().to_json())
