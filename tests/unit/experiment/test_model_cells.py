"""Cells of graph models and of baselines, which read edges when they score."""

import numpy as np
import pytest

from erase_ray.data.split import Part
from erase_ray.evaluation import rank
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.models.lightgcn import LightGcn
from erase_ray.training import training_edges
from tests.conftest import CPU

GRID = """
seeds: [2]
scenarios: {sensitive: {category: sensitive, fraction: 0.01}}
blocks:
  - datasets: {planted: {task: cf}}
    models: {lightgcn: {embedding_size: 8}}
    methods: [original, retrain, {scif: {num_retain: 16, max_iterations: 2}}]
    training: {epochs: 2}
  - datasets: {planted: {task: cf}}
    models: [pop, itemknn]
    methods: [original, retrain]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All cells, retrained at the last mark; and the edges the chain dropped, by request."""
    folder = tmp_path_factory.mktemp("runs")
    grid = folder / "grid.yaml"
    grid.write_text(GRID)
    cells = [cell for cell in load_cells(grid) if cell.mark in (None, 4)]
    store, dropped = Store(str(folder)), []
    original = LightGcn.drop_edges

    def spy(self, user_E, item_E):
        dropped.append(sorted(zip(user_E.tolist(), item_E.tolist(), strict=True)))
        original(self, user_E, item_E)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LightGcn, "drop_edges", spy)
        for node in build(cells, store).pending():
            run_node(node.payload, str(folder))
    return store, {(cell.model.name, cell.method.name): cell for cell in cells}, dropped


def test_a_chain_drops_the_training_edges_of_each_request_once(finished):
    store, cells, dropped = finished
    setting = Setting.load(cells["lightgcn", "scif"], store, CPU)
    table, expected = setting.interactions, []
    for request in setting.chain.requests:
        left = table.only(request.rows)
        train = setting.split.of(left) == Part.TRAIN
        expected.append(
            sorted(zip(left.user[train].tolist(), left.item[train].tolist(), strict=True))
        )
    assert dropped == expected
    assert sum(map(len, dropped))


def test_scores_at_the_last_mark_are_those_of_a_graph_without_the_rows(finished):
    store, cells, _ = finished
    cell = cells["lightgcn", "scif"]
    setting = Setting.load(cell, store, CPU)
    model = setting.fresh_model()
    model.load_state_dict(store.get_weights(store.manifest(cell.key)["weights"]["4"]))
    gone = np.concatenate([request.rows for request in setting.chain.requests])
    left = setting.interactions.without(gone)
    model.set_edges(*training_edges(left, setting.split, CPU))
    expected = rank(model, setting.test_queries(model), 20)
    ranked = store.table(cell.key, "ranked")
    stored = ranked[(ranked["mark"] == 4) & (ranked["asks"] == "test")]
    assert np.array_equal(np.stack(stored["items"].to_numpy()), expected)


def test_baselines_are_stored_loaded_and_measured(finished):
    store, cells, _ = finished
    for name in ("pop", "itemknn"):
        original, again = (
            store.table(cells[name, method].key, "results") for method in ("original", "retrain")
        )
        recall = original[(original["metric"] == "recall") & (original["k"] == 20)]["value"]
        assert recall.nunique() == 1
        assert recall.iloc[0] > 0.05
        assert len(again) == len(original) / 4
        assert store.manifest(cells[name, "original"].base.key)["facts"]["epochs"] == 0
