"""``--only``."""

import pytest

from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment.grid import expand
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.select import select


@pytest.fixture(scope="module")
def cells():
    scenarios = [
        {"sensitive": {"category": category, "fraction": 0.01}} for category in ("meat", "baby")
    ]
    common = {"scenarios": scenarios, "methods": ["original", "retrain", "scif"], "seeds": [2, 3]}
    blocks = [
        Block(datasets={"planted": {"task": "cf"}}, models="bpr", **common),
        Block(datasets={"planted": {"task": "next_basket"}}, models="sets2sets", **common),
    ]
    return expand(blocks)


@pytest.mark.parametrize(
    ("only", "number"),
    [
        ("", 48),
        ("dataset=planted", 48),
        ("model=bpr", 24),
        ("task=next_basket", 24),
        ("seed=2", 24),
        ("category=meat", 24),
        ("scenario=sensitive", 48),
        ("fraction=0.01", 48),
        ("method=scif", 8),
        ("method=scif|original", 16),
        # a chain has every mark, and so has the original model
        ("mark=4", 24),
        ("model=bpr, method=retrain, mark=1|2, seed=3, category=baby", 2),
    ],
)
def test_keeps_what_matches_all(cells, only, number):
    assert len(select(cells, only)) == number


@pytest.mark.parametrize(
    ("only", "error", "text"),
    [
        (
            "modle=bpr",
            SettingsError,
            "there is no key 'modle' (did you mean 'model'?). Known: data",
        ),
        ("bpr", SettingsError, "--only expects key=value, got 'bpr'"),
        (
            "method=scff",
            GridError,
            "--only method=scff: no cell has this method (did you mean 'scif'?). "
            "The grid has: original, retrain, scif",
        ),
        ("mark=5", GridError, "no cell has this mark. The grid has: 1, 2, 3, 4"),
        ("model=bpr,task=next_basket", GridError, "model=bpr,task=next_basket leaves no cell"),
    ],
)
def test_errors(cells, only, error, text):
    with pytest.raises(error) as caught:
        select(cells, only)
    assert text in str(caught.value)
