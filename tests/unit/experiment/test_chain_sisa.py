"""Cells of sisa: a chain without a base model, killed and gone on with."""

import json

import numpy as np
import pytest
from chain_toys import ALWAYS, NEVER, Interrupted, assert_same, chain_cell, prepared

from erase_ray.experiment.run import run_cell
from tests.conftest import CPU

SMALL = {"shards": 3, "slices": 2}
KINDS = {
    "bpr": SMALL | {"partition": "balanced", "aggregation": "learned"},
    "lightgcn": SMALL,
    "sgl": SMALL | {"aggregation": "owner"},
    "gru4rec": SMALL | {"aggregation": "learned"},
    "sets2sets": SMALL,
}


@pytest.mark.parametrize("model", KINDS)
def test_a_cell_that_was_killed_ends_in_the_same_bytes(model, tmp_path):
    cell = chain_cell(model, {"sisa": KINDS[model]})
    store = prepared(cell, tmp_path / "one")
    assert run_cell(cell, store, CPU, NEVER)
    broken = Interrupted(cell, tmp_path / "two")
    broken.run([1, 4], ALWAYS)
    assert broken.served == sorted(set(broken.served))
    assert_same(cell, store, broken.store)
    requests = store.table(cell.key, "requests")
    assert set(requests["status"]) == {"applied"}
    details = [json.loads(text) for text in requests["details"]]
    assert all(each["num_shards_retrained"] == 1 for each in details)
    assert all(0 < each["share_revisited"] < 0.6 for each in details)
    recall = store.table(cell.key, "results").query("metric == 'recall'")["value"]
    assert np.isfinite(recall.to_numpy()).all()


@pytest.mark.parametrize("model", ["lightgcn", "gru4rec", "sets2sets"])
def test_fakes_belong_to_shards_and_are_forgotten(model, tmp_path):
    cell = chain_cell(model, {"sisa": SMALL}, scenarios={"spam": {"ratio": 0.1}})
    store = prepared(cell, tmp_path)
    assert run_cell(cell, store, CPU, NEVER)
    requests = store.table(cell.key, "requests")
    assert len(requests) > 3
    assert set(requests["status"]) == {"applied"}
    state = store.get_weights(store.manifest(cell.key)["weights"]["4"])
    num_users = store.get_data("planted", cell.data_key).interactions.num_users
    assert len(state["shard_U"]) == num_users + len(requests)
    assert np.ptp(np.bincount(state["shard_U"].numpy())) <= 1
