"""Whole cells on planted data, in this process."""

from pathlib import Path

import pandas as pd
import pytest

from erase_ray.errors import StoreError
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.run import run_cell, run_node
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.recheck import recheck

SMOKE = Path(__file__).parents[3] / "jobs/grids/smoke.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Store, list[Cell]]:
    """The session-based part of the smoke grid with one epoch, retrained at one mark."""
    storage = str(tmp_path_factory.mktemp("runs"))
    cells = load_cells(SMOKE, "task=session_based", ["training.epochs=1"])
    cells = [cell for cell in cells if cell.mark in (None, 4)]
    store = Store(storage)
    for node in build(cells, store).pending():
        assert run_node(node.payload, storage)["status"] == "done"
        assert run_node(node.payload, storage)["status"] == "cached"
    return store, cells


def results(finished) -> pd.DataFrame:
    store, cells = finished
    return store.gather([cell.key for cell in cells], "results")


def test_every_mark_and_metric_is_there(finished):
    table = results(finished)
    assert list(table.columns) == list(RESULTS)
    counts = table.groupby("method").size()
    # five metrics of all test queries and of six groups, coverage, and three of exposure, at two
    # cut-offs each; two of exposure at none
    every = 2 * (5 * 7 + 1 + 3) + 2
    marks = {"original": 4, "retrain": 1, "scif": 4, "seif": 4}
    assert counts.to_dict() == {method: num * every for method, num in marks.items()}
    shares = table[table["unit"] == "share"]
    assert shares["value"].dropna().between(0, 1).all()
    assert table["value"].isna().equals(table["n"] == 0)


def test_groups_share_out_the_test_queries(finished):
    table = results(finished)
    n = table[table["k"] == 10].groupby("metric")["n"].first()
    assert n["recall"] == n["recall.requesters"] + n["recall.others"]
    assert n["recall"] == n["recall.active"] + n["recall.inactive"]
    # a session asks for one item at a time
    assert n["recall"] == n["recall.popular"] + n["recall.tail"]
    assert n[["recall.requesters", "recall.active", "recall.tail", "recall.popular"]].min() > 0


def test_what_is_exposed_is_told_of_probes_alone(finished):
    store, cells = finished
    ranked = store.table(cells[0].key, "ranked")
    is_probe = ranked["asks"] == "probe"
    for name in ("exposed_rank", "exposed_mass"):
        assert ranked[name].isna().equals(~is_probe)
    assert ranked.loc[is_probe, "exposed_rank"].gt(1).all()
    assert ranked.loc[is_probe, "exposed_mass"].between(0, 1, inclusive="neither").all()


def test_all_models_answer_the_same_questions(finished):
    table = results(finished)
    for _, rows in table.groupby(["mark", "metric", "k"]):
        assert rows["test_hash"].nunique() == 1
        assert rows["n"].nunique() == 1


def test_original_does_not_change_over_the_marks_and_others_do(finished):
    table = results(finished)
    recall = table[(table["metric"] == "recall") & (table["k"] == 20)]
    curves = recall.pivot(index="method", columns="mark", values="value")
    assert curves.loc["original"].nunique() == 1
    assert curves.loc["seif"].nunique() > 1


def test_every_request_has_an_outcome(finished):
    store, cells = finished
    for cell in cells:
        requests = store.table(cell.key, "requests")
        facts = store.manifest(cell.key)["facts"]
        if cell.method.name in ("scif", "seif"):
            assert len(requests) == facts["num_requests"]
            assert facts["outcomes"] == requests["status"].value_counts().to_dict()
            assert (requests["seconds_algorithm"] > 0).all()
            assert requests["mark"].tolist() == sorted(requests["mark"])
            assert requests.loc[requests["status"] == "applied", "step_norm"].gt(0).all()


def test_unlearned_weights_load_and_are_kept_at_every_mark(finished):
    store, cells = finished
    base = store.get_weights(store.manifest(cells[0].base.key)["weights"]["0"])
    for cell in cells:
        weights = store.manifest(cell.key)["weights"]
        marks = {"4"} if cell.mark else {"1", "2", "3", "4"}
        assert set(weights) == marks
        assert store.get_weights(weights["4"]).keys() == base.keys()


def test_stored_metrics_can_be_computed_again(finished):
    store, cells = finished
    cell = next(cell for cell in cells if cell.method.name == "scif")
    ranked = store.table(cell.key, "ranked")
    asked = ranked[(ranked["mark"] == 4) & (ranked["asks"] == "test")]
    hits = [
        len(set(items[:10]) & set(relevant)) / len(relevant)
        for items, relevant in zip(asked["items"], asked["relevant"], strict=True)
    ]
    stored = store.table(cell.key, "results").query("mark == 4 and metric == 'recall' and k == 10")
    assert stored["value"].item() == pytest.approx(sum(hits) / len(hits), abs=1e-12)


def test_all_stored_results_come_out_again(finished):
    store, cells = finished
    found = recheck(store)
    assert (found.differences, found.unreadable) == ([], {})
    assert found.num_cells == len(cells)
    assert set(found.skipped) == {"base"}


def test_same_cell_again_gives_the_same_bytes(finished, tmp_path):
    store, cells = finished
    cell = next(cell for cell in cells if cell.method.name == "seif")
    again = str(tmp_path)
    for node in build([cell], Store(again)).pending():
        run_node(node.payload, again)
    file = f"cells/{cell.key[:2]}/{cell.key}/results.parquet"
    assert (Path(again) / file).read_bytes() == (Path(store.uri) / file).read_bytes()


def test_a_cell_without_its_data_says_so(finished, tmp_path):
    _, cells = finished
    text = r"the store has no prepared dataset 'planted' \(.{12}\); prepare it first"
    with pytest.raises(StoreError, match=text):
        run_cell(cells[0], Store(str(tmp_path)))
