import numpy as np
import pytest
import torch
from pydantic import ValidationError

from erase_ray.errors import TrainingError
from erase_ray.models import MODELS
from tests.unit.models._baselines import fitted, no_rows, pairs, random_rows, rows_of


def regressions(rows, num_users, num_items, l2):
    """B from one ridge regression an item: on all the others, without an intercept."""
    counts = np.zeros((num_users, num_items))
    np.add.at(counts, (rows.user_N.numpy(), rows.item_N.numpy()), 1)
    weights = np.zeros((num_items, num_items))
    for item in range(num_items):
        others = np.delete(np.arange(num_items), item)
        inputs = counts[:, others]
        left = inputs.T @ inputs + l2 * np.eye(num_items - 1)
        weights[others, item] = np.linalg.solve(left, inputs.T @ counts[:, item])
    return counts, weights


@pytest.mark.parametrize("l2", [0.1, 250.0])
@pytest.mark.parametrize("seed", range(2))
def test_weights_are_those_of_one_regression_an_item(seed, l2):
    rows = random_rows(seed)
    counts, weights = regressions(rows, 30, 17, l2)
    model = fitted("ease", rows, 17, 30, l2=l2)
    expected = torch.from_numpy(weights).float()
    torch.testing.assert_close(model.weights(), expected, rtol=1e-5, atol=1e-7)
    scores = torch.from_numpy(counts @ weights).float()
    torch.testing.assert_close(model.scores(pairs(*range(30))), scores, rtol=1e-5, atol=1e-6)


def test_two_items_worked_by_hand():
    """X'X + 2 I = [[4, 1], [1, 3]]."""
    model = fitted("ease", rows_of([0, 0, 1], [0, 1, 0]), 2, l2=2.0)
    torch.testing.assert_close(model.weights(), torch.tensor([[0, 1 / 4], [1 / 3, 0]]))
    torch.testing.assert_close(
        model.scores(pairs(1, 0, 2)), torch.tensor([[0, 1 / 4], [1 / 3, 1 / 4], [0, 0]])
    )


def test_without_rows_all_scores_are_zero():
    model = fitted("ease", no_rows(), 3)
    assert model.scores(pairs(0, 4)).tolist() == [[0, 0, 0]] * 2


def test_too_large_a_catalogue_is_an_error_that_names_the_memory():
    kind = MODELS.get("ease")
    expected = (
        r"model 'ease' needs 15\.2 GB of memory for 30800 items, and is set to max_items=30000 "
        r"\(14\.4 GB\); raise max_items where there is that much"
    )
    with pytest.raises(TrainingError, match=expected):
        fitted("ease", rows_of([0], [1]), 30_800)
    assert kind.Settings().max_items == 30_000
    assert fitted("ease", rows_of([0], [1]), 5, max_items=5).weights().shape == (5, 5)


def test_settings_have_bounds():
    with pytest.raises(ValidationError, match=r"l2\n\s+Input should be greater than 0"):
        MODELS.get("ease").Settings(l2=0.0)
