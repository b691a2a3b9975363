"""Every scenario with every method, on planted data of all three tasks."""

import pandas as pd
import pytest

from erase_ray.experiment.cell import Cell
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from erase_ray.methods import METHODS

MODELS = {
    "cf": {"bpr": {"embedding_size": 8}},
    "session_based": {"gru4rec": {"embedding_size": 8, "hidden_size": 12, "max_length": 8}},
    "next_basket": {"sets2sets": {"embedding_size": 8}},
}
SCENARIOS = [
    ("spam", {"ratio": 0.06, "num_targets": 4, "num_probe": 30}),
    ("account", {"num_users": 6, "batch": 2}),
    ("item", {"num_items": 6, "batch": 2, "order": "time"}),
]
MERGED_FAKES = ["original", "retrain", "scif", "sisa"]
"""Methods that are asked to forget several fakes at once, one of each kind: every method is asked
for several people at once by the other scenarios, and for single fakes by ``spam``."""


@pytest.fixture(scope="module", params=sorted(MODELS))
def finished(request, tmp_path_factory) -> tuple[Store, list[Cell]]:
    storage = str(tmp_path_factory.mktemp("runs"))
    blocks = [
        Block(
            datasets={"planted": {"task": request.param, "num_users": 60, "num_items": 72}},
            models=MODELS[request.param],
            training={"epochs": 1, "batch_size": 64},
            scenarios={name: settings},
            methods=methods,
            seeds=[2],
        )
        for name, settings, methods in [
            *((*scenario, "all") for scenario in SCENARIOS),
            ("spam", SCENARIOS[0][1] | {"batch": 2}, MERGED_FAKES),
        ]
    ]
    cells = [cell for cell in expand(blocks) if cell.mark in (None, 2)]
    store = Store(storage)
    plan = build(cells, store)
    assert sum(node.kind == "base" for node in plan.nodes.values()) == 2
    for node in plan.pending():
        run_node(node.payload, storage)
    return store, cells


def facts(finished, name: str) -> list[dict]:
    store, cells = finished
    keys = [cell.key for cell in cells if cell.scenario and cell.scenario.name == name]
    return [store.manifest(key)["facts"] for key in keys]


@pytest.mark.parametrize("name", ["spam", "account", "item"])
def test_every_method_serves_every_request(finished, name):
    methods = set()
    for found in facts(finished, name):
        methods.add(found["method"])
        if found["method"] == "original":
            continue
        number = 1 if METHODS.get(found["method"]).per_mark else found["num_requests"]
        assert sum(found["outcomes"].values()) == number
        # in data as small as this, everybody has training rows of what is named
        assert set(found["outcomes"]) <= {"applied", "skipped"}
    learning = {name for name in METHODS.names() if METHODS.get(name).serves_learning}
    assert methods == {"original", *learning}


@pytest.mark.parametrize("name", ["spam", "account", "item"])
def test_all_are_asked_the_same_whatever_the_batches(finished, name):
    found = facts(finished, name)
    assert len({one["test_hash"] for one in found}) == 1
    assert len({one["probe_hash"] for one in found}) == 1
    assert found[0]["num_test_queries"] > 0


def results(finished, name: str) -> pd.DataFrame:
    store, cells = finished
    keys = [cell.key for cell in cells if cell.scenario and cell.scenario.name == name]
    return store.gather(keys, "results")


def test_retrained_is_the_same_for_every_batch(finished):
    store, cells = finished
    retrained = [c for c in cells if c.method.name == "retrain" and c.scenario.name == "spam"]
    shas = {store.manifest(cell.key)["weights"]["2"] for cell in retrained}
    assert len(retrained) == 2
    assert len(shas) == 1


def test_real_people_are_probed_at_every_mark_of_spam(finished):
    table = results(finished, "spam")
    shares = table[table["metric"] == "sensitive_share"]
    assert set(shares["n"]) == {30}
    assert set(shares["mark"]) == {1, 2, 3, 4}
    assert (table["category"] == "bandwagon").all()
    assert (table["fraction"] == 0.06).all()


def test_more_people_are_probed_as_items_are_withdrawn(finished):
    table = results(finished, "item")
    shares = table[(table["metric"] == "sensitive_share") & (table["method"] == "original")]
    counts = shares[shares["k"] == 10].sort_values("mark")["n"].tolist()
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1]


def test_no_exposure_is_reported_where_there_is_nothing_to_expose(finished):
    store, cells = finished
    table = results(finished, "account")
    assert "sensitive_share" not in set(table["metric"])
    assert {"recall", "ndcg"} <= set(table["metric"])
    assert table["fraction"].isna().all()
    cell = next(c for c in cells if c.scenario and c.scenario.name == "account")
    probed = store.manifest(cell.key)["facts"]["num_probe_queries"]
    assert ("probe" in set(store.table(cell.key, "ranked")["asks"])) == (probed > 0)


def test_merged_requests_are_marked_as_such(finished):
    store, cells = finished
    cell = next(c for c in cells if c.method.name == "seif" and c.scenario.name == "account")
    requests = store.table(cell.key, "requests")
    # six people, marks after 2, 3, 5 and 6
    assert requests["user"].tolist()[0] == -1
    assert requests["user"].tolist()[1] >= 0
    assert ['"num_wishes": 2.0' in text for text in requests["details"]] == [
        True,
        False,
        True,
        False,
    ]
