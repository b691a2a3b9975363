"""Which methods a grid runs on which models, and how long a request may take."""

import itertools
import textwrap
from pathlib import Path

import pytest

from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.methods import METHODS, Method
from erase_ray.models import MODELS

GRIDS = Path(__file__).parents[3] / "jobs/grids"
GRID = """
seeds: 2
scenarios: {sensitive: {category: sensitive, fraction: 0.01}}
blocks:
  - datasets: {planted: {task: cf}}
    models: [bpr]
    methods: [original, retrain, {scif: {damping: 7.0}}]
"""


class OnlyBaselines(Method):
    """Serves what :class:`OnlyLearning` does not."""

    name = "only_baselines"
    serves_baselines = True
    serves_learning = False

    def forget(self, model, request):
        raise NotImplementedError


class Merging(Method):
    """Trains nothing of its own, and gets one request a mark."""

    name = "merging"
    per_mark = True

    def forget(self, model, request):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def more_methods(monkeypatch):
    for kind in (OnlyBaselines, Merging):
        monkeypatch.setitem(METHODS._classes, kind.name, kind)


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "grid.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return write_text


def names(cells, model) -> set[str]:
    return {cell.method.name for cell in cells if cell.model.name == model}


def serving(flag: str) -> set[str]:
    return {name for name in METHODS.names() if getattr(METHODS.get(name), flag)}


def test_all_are_the_original_and_every_method_that_fits(write):
    cells = load_cells(write(GRID), assignments=["methods=all"])
    learning = serving("serves_learning")
    assert names(cells, "bpr") == {"original", *learning}
    assert {"retrain", "scif", "seif", "merging"} <= learning
    assert "only_baselines" not in learning


def test_all_is_a_matter_of_each_model(write):
    text = GRID.replace("[bpr]", "[bpr, pop, ease]")
    text = text.replace("[original, retrain, {scif: {damping: 7.0}}]", "all")
    cells = load_cells(write(text))
    assert names(cells, "bpr") == {"original", *serving("serves_learning")}
    assert names(cells, "pop") == names(cells, "ease") == {"original", *serving("serves_baselines")}
    assert {"retrain", "only_baselines"} <= names(cells, "pop")
    assert not {"scif", "seif", "merging"} & names(cells, "pop")


def test_all_keeps_the_settings_that_the_grid_gives(write):
    cells = load_cells(write(GRID), assignments=["methods=all", "methods.seif.min_retain=5"])
    settings = {cell.method.name: cell.method.settings for cell in cells}
    assert settings["scif"]["damping"] == 7.0
    assert settings["seif"]["min_retain"] == 5
    text = GRID.replace("[original, retrain, {scif", "[all, {scif")
    assert {c.key for c in load_cells(write(text))} == {
        c.key for c in load_cells(write(GRID), assignments=["methods=all"])
    }


def test_what_is_named_has_to_fit(write):
    text = GRID.replace("[bpr]", "[bpr, pop]")
    with pytest.raises(GridError, match=r"scif"):
        load_cells(write(text), assignments=["methods=all"])


def test_methods_that_merge_have_a_cell_a_mark(write):
    cells = load_cells(write(GRID), assignments=["methods=[merging, none]"])
    assert [(cell.method.name, cell.mark) for cell in cells] == [
        *(("merging", mark) for mark in (1, 2, 3, 4)),
        ("none", None),
    ]


def test_a_limit_is_part_of_the_key_of_chains_alone(write):
    plain, limited = (
        {(cell.method.name, cell.mark): cell for cell in load_cells(write(GRID), "", changes)}
        for changes in ([], ["limit_s=2.5"])
    )
    assert {name for name, cell in limited.items() if cell.limit_s} == {("scif", None)}
    assert limited["scif", None].limit_s == 2.5
    same = {name for name, cell in limited.items() if cell.key == plain[name].key}
    assert same == set(plain) - {("scif", None)}
    assert limited["scif", None].base.key == plain["scif", None].base.key


@pytest.mark.parametrize("limit", ["0", "-1", "soon"])
def test_a_limit_is_a_number_of_seconds(write, limit):
    with pytest.raises(SettingsError, match=rf"--set limit_s={limit}.*limit_s"):
        load_cells(write(GRID), assignments=[f"limit_s={limit}"])


def test_a_limit_of_one_block(write):
    cells = load_cells(write(GRID + "    limit_s: 30\n"))
    assert [cell.limit_s for cell in cells if cell.method.name == "scif"] == [30.0]


def test_the_matrix_is_every_learning_model_with_every_method_and_both_scenarios():
    cells = load_cells(GRIDS / "matrix.yaml")
    learning = {name for name in MODELS.names() if MODELS.get(name).learns}
    found = {(cell.model.name, cell.method.name, cell.scenario.name) for cell in cells}
    methods = {"original", *serving("serves_learning")}
    assert found == set(itertools.product(learning, methods, ("sensitive", "spam")))


def test_what_a_chain_needs_is_the_base_or_nothing_but_the_data(write):
    methods = "methods=[retrain, scif, sisa]"
    plan = build(load_cells(write(GRID), "", [methods]))
    kinds = {node.kind: [plan.nodes[key].kind for key in node.parents] for node in plan.requested}
    assert kinds == {"retrain": ["data"], "scif": ["base", "data"], "sisa": ["data"]}
    assert sum(node.kind == "base" for node in plan.nodes.values()) == 1
