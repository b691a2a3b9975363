"""Shadow models and audits on planted data, in this process."""

import numpy as np
import pytest
import seen_by_shadows
import seen_models
import torch

from erase_ray.errors import GridError, ScenarioError
from erase_ray.experiment import lineage
from erase_ray.experiment.cell import Shadow
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.select import select
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.shadow_view import ShadowView, membership
from erase_ray.experiment.store import Store

AUDITS = [{"seen_by_shadows": {"shadows": 4}}, "seen_models"]
MODELS = {
    "cf": {"bpr": {"embedding_size": 8}},
    "session_based": {"gru4rec": {"embedding_size": 8, "hidden_size": 12, "max_length": 8}},
    "next_basket": {"sets2sets": {"embedding_size": 8}},
}


def block(task="cf", **changes) -> Block:
    known = {
        "datasets": {"planted": {"task": task, "num_users": 60, "num_items": 72}},
        "models": MODELS[task],
        "training": {"epochs": 2, "batch_size": 64},
        "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.03}},
        "methods": ["original", "retrain", "none"],
        "audits": AUDITS,
        "seeds": [2],
    }
    return Block(**(known | changes))


def test_each_request_is_in_half_of_the_shadow_models():
    member_KR = membership(50, 8, 1)
    assert (member_KR.sum(axis=0) == 4).all()
    assert len(np.unique(member_KR, axis=0)) == 8
    assert np.array_equal(member_KR, membership(50, 8, 1))
    assert not np.array_equal(member_KR, membership(50, 8, 2))


def test_an_audit_reads_all_shadow_models_and_shares_those_that_were_only_trained():
    cells = expand([block(audits=AUDITS[:1])])
    plan = build(cells)
    kinds = [node.kind for node in plan.nodes.values()]
    # trained, after `none`, after `retrain`
    assert kinds.count("shadow") == 3 * 4
    assert kinds.count("seen_by_shadows") == 3
    order = {key: place for place, key in enumerate(plan.nodes)}
    assert all(order[p] < order[n.key] for n in plan.nodes.values() for p in n.parents)
    audit = next(cell for cell in cells if cell.audit and cell.method.name == "none")
    shadows = lineage.shadows(audit)
    assert plan.nodes[audit.key].parents == (audit.data_key, *(cell.key for cell in shadows))
    assert [plan.nodes[cell.key].requested for cell in shadows] == [False] * 8
    assert len({cell.draws for cell in shadows}) == 4


def test_what_only_audits_need_is_planned_with_them():
    cells = [cell for cell in expand([block(audits="seen_models")]) if cell.audit]
    plan = build(cells)
    kinds = [node.kind for node in plan.nodes.values() if not node.requested]
    assert kinds == ["data", "base", "retrain", "retrain", "none"]
    assert {node.kind for node in plan.requested} == {"seen_models"}


def test_the_keys_of_other_cells_do_not_depend_on_audits():
    plain = expand([block(audits=[])])
    assert {cell.key for cell in plain} == {c.key for c in expand([block()]) if not c.audit}
    assert len({cell.key for cell in expand([block()])}) == len(expand([block()]))


def test_audits_can_be_chosen():
    cells = expand([block()])
    assert len(select(cells, "audit=none")) == 6
    assert [cell.method.name for cell in select(cells, "audit=seen_models,method=none")] == ["none"]


def test_audits_of_models_that_count_are_refused():
    with pytest.raises(GridError, match=r"^pop learn by counting, and audits need models that"):
        expand([block(models="pop", methods=["original", "retrain"])])


def test_too_few_requests_are_refused():
    view = ShadowView(FewRequests(1), Shadow(index=0, count=4), 1)
    with pytest.raises(ScenarioError, match=r"^the chain has 1 requests, too few for the 4"):
        _ = view.chain


class FewRequests:
    def __init__(self, number: int) -> None:
        self.requests = (None,) * number

    def __len__(self) -> int:
        return len(self.requests)


@pytest.fixture(scope="module", params=sorted(MODELS))
def finished(request, tmp_path_factory):
    storage = str(tmp_path_factory.mktemp("runs"))
    cells, store = expand([block(request.param)]), Store(storage)
    seen_by_shadows.Kept.seen.clear()
    order = []
    for node in build(cells, store).pending():
        run_node(node.payload, storage)
        if node.kind == "seen_by_shadows":
            order.append(node.payload["cell"]["method"]["name"])
    seen = dict(zip(order, seen_by_shadows.Kept.seen, strict=True))
    return store, cells, seen


def test_observations_are_of_the_same_examples(finished):
    _, _, seen = finished
    assert set(seen) == {"original", "none", "retrain"}
    for found in seen.values():
        assert found.before_KN.shape == found.after_KN.shape == found.member_KN.shape
        assert found.member_KN.shape == (4, len(found.request_N))
        assert (found.member_KN.sum(axis=0) == 2).all()
        assert (found.before_KN <= 0).all()
        assert np.isfinite(found.before_KN).all()
        assert len(found.request_N) > 3
        assert found.before_KZ.shape[1] > 5
        assert np.array_equal(found.before_KN, seen["original"].before_KN)


def test_doing_nothing_changes_nothing_and_retraining_does(finished):
    _, _, seen = finished
    for name in ("original", "none"):
        assert np.array_equal(seen[name].after_KN, seen[name].before_KN)
    assert not np.array_equal(seen["retrain"].after_KN, seen["retrain"].before_KN)
    assert not np.array_equal(seen["retrain"].after_KZ, seen["retrain"].before_KZ)


def test_a_shadow_model_has_seen_the_rows_of_what_is_in_alone(finished):
    store, cells, _ = finished
    audit = next(cell for cell in cells if cell.audit and "shadows" in cell.audit.settings)
    for cell in lineage.shadows(audit)[:2]:
        setting = Setting.load(cell, store, torch.device("cpu"))
        inside = np.concatenate([request.rows for request in setting.chain.requests])
        outside = np.setdiff1d(setting.full_chain.rows(), inside)
        assert np.isin(inside, setting.interactions.row).all()
        assert not np.isin(outside, setting.interactions.row).any()
        assert len(setting.everything) - len(setting.interactions) == len(outside) > 0


def test_models_are_those_of_the_cells(finished):
    store, cells, _ = finished
    keys = {c.method.name: c.key for c in cells if c.audit and c.audit.name == "seen_models"}
    tables = {name: store.table(key, "results") for name, key in keys.items()}
    values = {name: table.set_index(["mark", "metric"])["value"] for name, table in tables.items()}
    assert all(set(table["mark"]) == {2, 4} for table in tables.values())
    for mark in (2, 4):
        near = {name: found[mark] for name, found in values.items()}
        for name in ("original", "none"):
            assert near[name]["seen_models.to_original"] == 0
            assert near[name]["seen_models.to_retrained"] > 0
        assert near["retrain"]["seen_models.to_retrained"] == 0
        assert all(found["seen_models.learned"] > 0 for found in near.values())
    forgotten = values["none"].xs("seen_models.forgotten", level="metric")
    assert 0 < forgotten[2] <= forgotten[4]
    assert (tables["none"]["method"] == "none").all()
    assert seen_models.Looked.name == "seen_models"
