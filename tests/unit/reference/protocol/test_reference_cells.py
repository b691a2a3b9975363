"""Cells under the published protocol: keys, numbers, recomputation, resume."""

from pathlib import Path

import pytest
import torch

from erase_ray.errors import ScenarioError, SettingsError
from erase_ray.experiment.cell import Cell, Part
from erase_ray.experiment.recompute import differences, recompute
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.setting import Setting
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.recheck import recheck
from erase_ray.reference.defects import ALL, DEFECTS, EVERY, active, in_training
from erase_ray.scenarios import SCENARIOS
from tests.conftest import CPU
from tests.unit.experiment.chain_toys import (
    ALWAYS,
    NEVER,
    Interrupted,
    assert_same,
    chain_cell,
    prepared,
)

WISHES = {
    "sensitive": {"category": "sensitive", "fraction": 0.03},
    "spam": {"ratio": 0.05, "num_probe": 20},
}
MODELS = ["lightgcn", "gru4rec", "sets2sets"]


def cell_of(model: str, method: str, scenario: str, defects=None) -> Cell:
    """A cell; under the corrected protocol where no defects are given."""
    edition = {} if defects is None else {"edition": "reference", "defects": defects}
    settings = {scenario: WISHES[scenario] | edition}
    return chain_cell(model, {method: {}}, scenarios=settings)


PAGE = Path(__file__).parents[4] / "docs" / "conformance.md"
TASKS = {"cf": "cf", "session_based": "sessions", "next_basket": "baskets"}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_on_the_page(name):
    defect = DEFECTS[name]
    tasks = ", ".join(short for task, short in TASKS.items() if task in defect.tasks)
    scenarios = ", ".join(sorted(defect.scenarios))
    trains = "yes" if defect.trains else "no"
    row = f"| `{name}` | {defect.what} | {tasks} | {scenarios} | {trains} | {defect.source} |"
    assert row in PAGE.read_text()


def test_unknown_defects_are_named():
    settings = WISHES["sensitive"] | {"edition": "reference", "defects": ["mark"]}
    with pytest.raises(SettingsError, match=r"no defect is called 'mark'. Did you mean 'marks'\?"):
        Part.resolved(SCENARIOS, "sensitive", settings)


def test_published_marks_need_single_requests():
    settings = WISHES["sensitive"] | {"edition": "reference", "batch": 2}
    with pytest.raises(SettingsError, match="batch of 1, got 2"):
        Part.resolved(SCENARIOS, "sensitive", settings)
    others = settings | {"defects": ["rounding"]}
    assert Part.resolved(SCENARIOS, "sensitive", others).settings["batch"] == 2


def test_order_of_names_has_no_influence():
    one, other = (
        cell_of("lightgcn", "none", "sensitive", names)
        for names in (["rounding", "marks"], ["marks", "rounding", "marks"])
    )
    assert one.key == other.key
    assert one.scenario is not None
    assert one.scenario.title == "sensitive.reference"


def test_defects_apply_where_they_have_an_influence():
    assert "leaking_graph" not in active(ALL, "next_basket", "sensitive")
    assert active(["split_fakes", "rounding"], "cf", "sensitive") == {"rounding"}
    assert in_training(ALL, "cf", "sensitive") == ["tied_early_stopping"]
    assert set(in_training(ALL, "next_basket", "spam")) == {
        "split_fakes",
        "recoded_lengths",
        "first_items",
        "tied_early_stopping",
    }
    found = (active(ALL, task, scenario) for task in EVERY for scenario in WISHES)
    assert frozenset().union(*found) == set(DEFECTS)


@pytest.mark.parametrize("scenario", ["sensitive", "spam"])
def test_base_models_are_shared_unless_training_has_defects(scenario):
    corrected = cell_of("gru4rec", "none", scenario)
    for defects in ([], ["marks", "resplit", "rounding", "recoded_lengths"]):
        other = cell_of("gru4rec", "none", scenario, defects)
        assert other.key != corrected.key
        assert other.base == corrected.base
    everything = cell_of("gru4rec", "none", scenario, ALL)
    tied = cell_of("gru4rec", "none", scenario, ["tied_early_stopping", "marks"])
    assert corrected.base.key != everything.base.key
    assert (tied.base == everything.base) is (scenario == "sensitive")
    assert everything.base.base == everything.base


def test_base_models_do_not_depend_on_who_asks():
    one, other = (
        chain_cell(
            "gru4rec",
            {"none": {}},
            scenarios={"sensitive": wishes | {"edition": "reference"}},
        )
        for wishes in (WISHES["sensitive"], {"category": "other", "fraction": 0.2, "order": "time"})
    )
    assert one.base.key == other.base.key


def test_audits_need_the_corrected_protocol(tmp_path):
    cell = cell_of("lightgcn", "none", "sensitive", ["marks"])
    audit = cell.model_copy(update={"audit": Part(name="similarity")})
    with pytest.raises(ScenarioError, match="leave 'edition' of scenario 'sensitive' out"):
        Setting.load(audit, Store(str(tmp_path)), CPU)


def comparable(store: Store, cell: Cell) -> list:
    """Everything that is measured, but for what the cell is called."""
    tables = [store.table(cell.key, name).astype(str) for name in ("results", "ranked")]
    return [table.drop(columns=["scenario", "cell"], errors="ignore") for table in tables]


@pytest.mark.parametrize("model", MODELS)
def test_without_defects_numbers_are_those_of_the_corrected_protocol(model, tmp_path):
    for method in ("none", "retrain"):
        cells = [cell_of(model, method, "sensitive", defects) for defects in (None, [])]
        for cell in cells:
            store = prepared(cell, tmp_path)
            run_cell(cell, store, CPU)
        corrected, other = (comparable(store, cell) for cell in cells)
        assert all(one.equals(two) for one, two in zip(corrected, other, strict=True))
        weights = [store.manifest(cell.key)["weights"] for cell in cells]
        assert weights[0] == weights[1]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scenario", ["sensitive", "spam"])
def test_all_defects_together_can_be_computed_again(model, scenario, tmp_path):
    original = cell_of(model, "original", scenario, ALL)
    for cell in (original, cell_of(model, "none", scenario, ALL)):
        store = prepared(cell, tmp_path)
        run_cell(cell, store, CPU)
        stored = store.table(cell.key, "results")
        assert differences(cell.key, stored, recompute(store, cell.key)) == []
        assert set(stored["scenario"]) == {f"{scenario}.reference"}
        assert set(stored["mark"]) == {1, 2, 3, 4}
    checked = recheck(store)
    assert (checked.num_cells, checked.differences, checked.unreadable) == (2, [], {})


def test_a_chain_goes_on_after_it_was_killed(tmp_path):
    cell = cell_of("lightgcn", "gradient_ascent", "sensitive", ALL)
    whole = prepared(cell, tmp_path / "whole")
    assert run_cell(cell, whole, CPU, NEVER)
    broken = Interrupted(cell, tmp_path / "broken")
    broken.run([2, 5], ALWAYS)
    assert_same(cell, whole, broken.store)


def test_leaking_graphs_keep_all_edges(tmp_path):
    cell = cell_of("lightgcn", "none", "sensitive", ["leaking_graph"])
    original = cell.model_copy(update={"method": Part(name="original")})
    store = prepared(cell, tmp_path)
    leaking, clean = (Setting.load(one, store, CPU) for one in (cell, original))
    assert (leaking.leaks_edges, clean.leaks_edges) == (True, False)
    model, rows = leaking.base_model(store), leaking.interactions
    # every row is an edge, so all can be dropped; of the clean graph only those of train rows
    edges = [torch.from_numpy(column.astype("int64")) for column in (rows.user, rows.item)]
    model.drop_edges(*edges)
    with pytest.raises(ValueError, match="only 0 are there"):
        clean.base_model(store).drop_edges(*edges)
