"""What a user is told of failures."""

import pytest

from erase_ray.distributed.main import exit_code, failure_lines
from erase_ray.errors import ScenarioError
from erase_ray.experiment.cell import Part
from erase_ray.experiment.grid import load_cells
from erase_ray.experiment.plan import build
from erase_ray.experiment.run import run_node
from erase_ray.experiment.store import Store
from tests.unit.experiment.test_cell_run import SMOKE

EMPTY = {"label": "a/b/c", "error": "ScenarioError: category 'x' is empty"}
BUG = {"label": "a/b/d", "error": "ValueError: no"}


@pytest.mark.parametrize(("failures", "code"), [([], 0), ([EMPTY], 2), ([EMPTY, BUG], 1)])
def test_exit_code(failures, code):
    assert exit_code(failures) == code


def test_equal_errors_are_one_line():
    other = EMPTY | {"label": "a/b/e"}
    assert failure_lines([EMPTY, BUG, other]) == [
        "a/b/c and 1 more: ScenarioError: category 'x' is empty",
        "a/b/d: ValueError: no",
    ]


def test_an_empty_category_fails_before_anything_is_stored(tmp_path):
    cells = load_cells(SMOKE, "task=cf", ["scenarios.sensitive.category=nothing"])
    first = build(cells).pending()[0]
    assert first.kind == "data"
    assert len(first.payload["asks"]) == 1
    with pytest.raises(ScenarioError, match="category 'nothing' is empty"):
        run_node(first.payload, str(tmp_path))
    dataset = Part(**first.payload["dataset"])
    assert not Store(str(tmp_path)).has_data(dataset.name, first.key)
