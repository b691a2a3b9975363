"""Chains of requests as artefacts of the store."""

import json
from pathlib import Path

import numpy as np
import pytest

from erase_ray.datasets import DATASETS
from erase_ray.errors import ScenarioError, StoreError
from erase_ray.experiment.cell import Cell, Part, chain_key, data_key
from erase_ray.experiment.run import prepare_data
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.models import TrainingSettings
from erase_ray.scenarios import SCENARIOS
from tests.conftest import CPU, planted

SETTINGS = {
    "sensitive": {"category": "sensitive", "fraction": 0.02},
    "spam": {"ratio": 0.05, "batch": 2},
    "account": {"num_users": 5},
    "item": {"num_items": 3, "order": "seed"},
}
DATASET = Part.resolved(DATASETS, "planted", {"num_users": 60})


def part(name: str, **changes) -> Part:
    return Part.resolved(SCENARIOS, name, SETTINGS[name] | changes)


def ask(scenario: Part, seed: int = 2) -> dict:
    return {"scenario": scenario.model_dump(mode="json"), "seed": seed}


def make_chain(name: str):
    data, kind = planted("cf"), SCENARIOS.get(name)
    scenario = kind(kind.Settings(**SETTINGS[name]), "cf")
    return scenario.build(data.interactions, data.split, data.catalogue, 2)


@pytest.mark.parametrize("name", sorted(SETTINGS))
@pytest.mark.parametrize("address", ["local", "memory"])
def test_a_chain_comes_back(name, address, tmp_path):
    store = Store(str(tmp_path) if address == "local" else f"memory://{tmp_path}/{name}")
    chain = make_chain(name)
    assert not store.has_chain("planted", "ab", "cd")
    assert store.put_chain("planted", "ab", "cd", chain)
    assert not store.put_chain("planted", "ab", "cd", chain)
    again = store.get_chain("planted", "ab", "cd")
    assert again.hash == chain.hash
    assert again.marks == chain.marks
    assert len(again) == len(chain)
    for one, other in zip(chain.requests, again.requests, strict=True):
        assert (one.id, one.user, one.num_wishes) == (other.id, other.user, other.num_wishes)
        assert np.array_equal(one.users, other.users)
        assert np.array_equal(one.rows, other.rows)
    for mark in (1, 4):
        assert np.array_equal(chain.probed_at(mark), again.probed_at(mark))
        assert np.array_equal(chain.items_at(mark), again.items_at(mark))
    assert (again.poison is None) == (chain.poison is None)
    if chain.poison is not None and again.poison is not None:
        table = planted("cf").interactions
        whole, other = table.appended(chain.poison), table.appended(again.poison)
        assert (whole.num_users, whole.num_sequences) == (other.num_users, other.num_sequences)
        assert other.time.dtype == np.int64


def test_the_manifest_tells_hash_and_counts(tmp_path):
    store, chain = Store(str(tmp_path)), make_chain("spam")
    store.put_chain("planted", "ab", "cd", chain)
    manifest = store.chain_manifest("planted", "ab", "cd")
    assert manifest["hash"] == chain.hash
    assert chain.poison is not None
    # ceil(0.05 * 300 / 0.95) fakes, ten targets, all 300 people are probed
    expected = {"num_wishes": 16, "num_items": 10, "num_probe": 300, "probes_all": True}
    assert {name: manifest[name] for name in expected} == expected
    assert manifest["num_poison"] == len(chain.poison) == manifest["num_rows"][-1]
    assert manifest["marks"] == list(chain.marks)
    folder = tmp_path / "data/planted/ab/chains/cd"
    assert sorted(path.name for path in folder.iterdir()) == [
        "chain.parquet",
        "items.parquet",
        "manifest.json",
        "poison.parquet",
        "probe.parquet",
    ]


def test_a_chain_of_another_hash_is_refused(tmp_path):
    store = Store(str(tmp_path))
    store.put_chain("planted", "ab", "cd", make_chain("account"))
    path = tmp_path / "data/planted/ab/chains/cd/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hash": "0" * 64}))
    text = (
        r"^data/planted/ab/chains/cd at .* has the hash \w{12}, its manifest says 000000000000; "
        r"delete the folder and run the same command again$"
    )
    with pytest.raises(StoreError, match=text):
        store.get_chain("planted", "ab", "cd")


def test_the_key_is_of_data_scenario_and_seed():
    keys = {
        chain_key(DATASET, part("spam"), 2),
        chain_key(DATASET, part("spam"), 3),
        chain_key(DATASET, part("spam", batch=3), 2),
        chain_key(DATASET, part("account"), 2),
        chain_key(DATASET.model_copy(update={"settings": {"num_users": 61}}), part("spam"), 2),
    }
    assert len(keys) == 5
    assert chain_key(DATASET, part("spam"), 2) in keys


def cell(scenario: Part | None, method: str = "original") -> Cell:
    return Cell(
        dataset=DATASET,
        model=Part(name="bpr", settings={"embedding_size": 4}),
        training=TrainingSettings(epochs=1),
        scenario=scenario,
        method=Part(name=method),
        seed=2,
    )


def test_chains_that_differ_in_the_requests_alone_share_their_poisoned_base():
    bases = {
        cell(part("spam", order=order, batch=batch, num_probe=num)).base.key
        for order, batch, num in [("id", 1, 2000), ("seed", 1, 2000), ("id", 5, 7)]
    }
    assert len(bases) == 1
    assert cell(part("spam", attack="random")).base.key not in bases
    base = cell(part("spam", batch=5)).base
    assert base.scenario == part("spam", batch=1)
    assert base.base == base


def test_scenarios_without_poison_share_the_clean_base():
    clean = cell(None, "base").key
    names = [name for name in SETTINGS if name != "spam"]
    assert {cell(part(name)).base.key for name in names} == {clean}


def test_data_and_chains_are_stored_together_and_lacking_chains_later(tmp_path):
    store, key = Store(str(tmp_path)), data_key(DATASET)
    account, spam = part("account"), part("spam")
    names = [chain_key(DATASET, scenario, 2) for scenario in (account, spam)]
    assert prepare_data(DATASET, store, [ask(account)])
    assert [store.has_chain("planted", key, name) for name in names] == [True, False]
    assert prepare_data(DATASET, store, [ask(account), ask(spam)])
    assert [store.has_chain("planted", key, name) for name in names] == [True, True]
    assert not prepare_data(DATASET, store, [ask(account), ask(spam)])


def test_an_impossible_chain_stores_nothing(tmp_path):
    store = Store(str(tmp_path))
    with pytest.raises(ScenarioError, match="num_users is 60"):
        prepare_data(DATASET, store, [ask(part("account")), ask(part("account", num_users=60))])
    assert not store.has_data("planted", data_key(DATASET))
    assert not list(Path(tmp_path).rglob("chain*"))


def test_a_setting_reads_the_chain_or_makes_and_stores_it(tmp_path):
    store = Store(str(tmp_path))
    prepare_data(DATASET, store)
    asked = cell(part("spam"))
    first = Setting.load(asked, store, CPU).chain
    assert store.has_chain("planted", asked.data_key, asked.chain_key)
    second = Setting.load(asked, store, CPU)
    assert second.chain is not first
    assert second.chain.hash == first.hash
    assert second.chain.poison is not None
    assert len(second.interactions) == len(second.data.interactions) + len(second.chain.poison)
    assert len(second.split.marks) == len(second.interactions)
    assert np.array_equal(second.cleaned.row, second.data.interactions.row)
