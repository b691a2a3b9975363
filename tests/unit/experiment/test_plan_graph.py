import json

import pytest
from plan_toys import diamond

from erase_ray.datasets import DATASETS
from erase_ray.experiment.cell import Part, title
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.plan_text import dollars, duration, estimate, summary
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.walk import run_serial


class FakeShelf:
    def __init__(self, cells=(), data=()):
        self.cells, self.data = set(cells), set(data)

    def done_cells(self):
        return self.cells

    def has_data(self, dataset, key):
        return (dataset, key) in self.data


@pytest.fixture(scope="module")
def cells():
    block = Block(
        datasets={"planted": {"task": "cf"}},
        models="bpr",
        scenarios={"sensitive": {"category": "sensitive", "fraction": 0.01}},
        methods=["original", "retrain", "scif", "seif"],
        seeds=[2, 3],
    )
    return expand([block])


def keys(nodes):
    return [node.key for node in nodes]


def test_what_each_cell_waits_for(cells):
    plan = build(cells)
    assert len(plan) == 1 + 2 + 14
    data, base = cells[0].data_key, cells[0].base.key
    assert plan.nodes[data].parents == ()
    assert plan.nodes[base].parents == (data,)
    for cell in cells[:7]:
        expected = (data,) if cell.method.name == "retrain" else (base, data)
        assert plan.nodes[cell.key].parents == expected
    assert keys(plan.requested) == [cell.key for cell in cells]
    order = {key: place for place, key in enumerate(plan.nodes)}
    assert all(order[p] < order[n.key] for n in plan.nodes.values() for p in n.parents)


def test_payloads_are_what_run_node_takes(cells):
    plan = build(cells[:1])
    payloads = [node.payload for node in plan.nodes.values()]
    assert [payload["kind"] for payload in payloads] == ["data", "cell", "cell"]
    assert payloads[0]["dataset"] == cells[0].dataset.model_dump(mode="json")
    assert payloads[2]["cell"] == cells[0].model_dump(mode="json")
    assert json.loads(json.dumps(payloads)) == payloads


def test_a_cell_listed_twice_is_run_once(cells):
    assert len(build([*cells, *cells])) == len(build(cells))


def test_done_cells_are_not_needed_and_what_only_they_need_is_not_either(cells):
    one_seed = cells[:7]
    data = ("planted", one_seed[0].data_key)
    everything = {cell.key for cell in one_seed}
    plan = build(one_seed, FakeShelf(everything))
    # neither base nor data are in the store, but nobody asks for them
    assert plan.pending() == []
    scif = next(cell for cell in one_seed if cell.method.name == "scif")
    plan = build(one_seed, FakeShelf(everything - {scif.key}, [data]))
    assert keys(plan.pending()) == [scif.base.key, scif.key]
    retrain = next(cell for cell in one_seed if cell.method.name == "retrain")
    plan = build(one_seed, FakeShelf(everything - {retrain.key}))
    assert keys(plan.pending()) == [data[1], retrain.key]


def test_a_done_base_does_not_ask_for_data_but_its_children_do():
    plan = diamond(base=True)
    assert keys(plan.pending()) == ["data", "long", "short", "alone"]


def test_remaining_path():
    plan = diamond()
    paths = {key: plan.remaining_path(key) for key in plan.nodes}
    assert paths == {"data": 14, "base": 13, "long": 10, "short": 2, "alone": 5}
    assert plan.critical_path == 14
    # what is done takes no time
    assert diamond(data=True, long=True).remaining_path("data") == 5


@pytest.mark.parametrize(
    ("slots", "seconds"),
    [
        # all one after the other
        (1, 21),
        # data 1, base 1-4 beside alone 1-6, long 4-14 beside short 6-8
        (2, 14),
        (9, 14),
    ],
)
def test_makespan(slots, seconds):
    assert diamond().makespan(slots) == seconds


def test_makespan_of_nothing():
    plan = diamond(data=True, base=True, long=True, short=True, alone=True)
    assert plan.makespan(2) == 0
    assert plan.critical_path == 0


def test_the_hash_is_of_what_is_asked_for(cells):
    part = build(cells[:7])
    assert build(cells[:7], FakeShelf({cells[0].key})).hash == part.hash
    assert build(cells[6::-1]).hash == part.hash
    assert build(cells).hash != part.hash


def test_as_json(cells):
    nodes = json.loads(build(cells).to_json())["nodes"]
    assert len(nodes) == 17
    assert nodes[1]["kind"] == "base"
    assert nodes[1]["label"] == "planted:cf/bpr/base/s2"
    assert nodes[1]["parents"] == [nodes[0]["key"]]
    assert nodes[0]["needed"] is True
    assert nodes[0]["done"] is False


def test_summary_of_a_plan_by_hand():
    text = summary(diamond(alone=True), Machine(slots=2, dollars_per_hour=3600))
    assert text.splitlines() == [
        "3 cells: 1 done, 2 to run",
        "                     all   done to run    minutes",
        "  scif                 5      1      4        0.3",
        "0.00 CPU-hours, no GPU; about $14.00 ($8.00 if idle machines are given back) at $3600.00 "
        "an hour",
        "critical path 0:14, at least 0:14 (longest chain), all of it about 0:14 with 2 at a time",
        "up to 0.00 GB of weights and results; largest cell 0.1 GB of memory",
    ]


def test_gpus_make_it_faster_not_free(cells):
    slow, fast = (Machine(slots=1, gpus=n, dollars_per_hour=10) for n in (0, 1))
    assert dollars(diamond(), slow) == pytest.approx(21 / 3600 * 10)
    prices = [dollars(build(cells, None, machine), machine) for machine in (slow, fast)]
    assert 0 < prices[1] < prices[0]
    assert "GPU-hours" in summary(build(cells, None, fast), fast)


def test_an_estimate_is_plain_json(cells):
    machine = Machine(instance="g5.xlarge", count=2)
    found = estimate(build(cells, None, machine), machine)
    assert json.loads(json.dumps(found)) == found
    assert found["cells"] == {"all": 14, "done": 0, "to_run": 14} | {
        "minutes": found["cells"]["minutes"]
    }
    assert found["dollars_per_hour"] == 2 * 0.45
    assert found["dollars"] == pytest.approx(found["makespan_s"] / 3600 * 2 * 0.45)
    assert found["dollars_least"] <= found["dollars"]
    assert found["critical_path_s"] <= found["bound_s"] <= found["makespan_s"]
    assert "an hour for 2 g5.xlarge" in summary(build(cells, None, machine), machine)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_large_grids_share_their_bases(cells):
    """One base for all methods and scenarios of a seed, however the cells came in."""
    copies = [cell.model_copy(deep=True) for cell in cells]
    assert list(build(copies).nodes) == list(build(cells).nodes)


def test_serial_run_of_a_pending_plan():
    seen = []
    walk = run_serial(diamond(data=True), "x", lambda payload, _: seen.append(payload["key"]) or {})
    assert seen == ["base", "long", "alone", "short"]
    assert walk.over


def test_labels_tell_datasets_of_one_name_apart():
    parts = [
        ("planted", {"task": "cf"}),
        ("synthetic", {"of": "tafeng"}),
        ("table", {"interactions": "data/clicks.csv"}),
        ("dunnhumby", {}),
    ]
    found = [title(Part.resolved(DATASETS, name, settings)) for name, settings in parts]
    assert found == ["planted:cf", "synthetic:tafeng", "table:clicks.csv", "dunnhumby"]
