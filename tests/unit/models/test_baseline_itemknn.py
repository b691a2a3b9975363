import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from erase_ray.models import MODELS
from tests.unit.models._baselines import fitted, no_rows, pairs, random_rows, rows_of

THREE = rows_of([0, 0, 1, 1, 1, 2], [0, 1, 0, 1, 2, 2])
"""Cosines: 1 between items 0 and 1, 1/2 from both to item 2."""


def oracle(rows, num_users, num_items, k, shrink, nearest_of):
    """Scores of all users by dense loops."""
    counts = np.zeros((num_users, num_items))
    np.add.at(counts, (rows.user_N.numpy(), rows.item_N.numpy()), 1)
    joint = counts.T @ counts
    kept = np.zeros((num_items, num_items))
    for item in range(num_items):
        norms = np.sqrt(joint[item, item] * np.diag(joint)) + shrink
        cosine = np.divide(joint[item], norms, out=np.zeros(num_items), where=joint[item] > 0)
        cosine = cosine.astype(np.float32)
        cosine[item] = 0
        nearest = np.argsort(-cosine, kind="stable")[:k]
        kept[item, nearest] = cosine[nearest]
    return counts @ (kept.T if nearest_of == "scored" else kept)


@pytest.mark.parametrize("nearest_of", ["scored", "owned"])
@pytest.mark.parametrize(("k", "shrink"), [(1, 0.0), (3, 0.0), (3, 2.5), (100, 0.0)])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_the_oracle(seed, k, shrink, nearest_of):
    rows = random_rows(seed)
    settings = {"k": k, "shrink": shrink, "nearest_of": nearest_of}
    model = fitted("itemknn", rows, 17, 30, **settings)
    expected = torch.from_numpy(oracle(rows, 30, 17, **settings)).float()
    torch.testing.assert_close(model.scores(pairs(*range(30))), expected, rtol=1e-6, atol=1e-6)
    with model.scoring():
        assert torch.equal(model.scores(pairs(29, 3)), model.scores(pairs(3, 29)).flip(0))


def test_neighbours_worked_by_hand():
    model = fitted("itemknn", THREE, 4, k=3)
    assert model.similarity_IK.tolist() == [[1, 0.5, 0], [1, 0.5, 0], [0.5, 0.5, 0], [0, 0, 0]]
    assert model.neighbour_IK.tolist() == [[1, 2, 0], [0, 2, 0], [0, 1, 0], [0, 0, 0]]


def test_of_equally_near_neighbours_the_lower_id_stays():
    model = fitted("itemknn", THREE, 3, k=1)
    assert model.neighbour_IK.tolist() == [[1], [0], [0]]
    assert model.scores(pairs(0, 1, 2)).tolist() == [[1, 1, 0.5], [1, 1, 0.5], [0, 0, 0]]


def test_the_papers_rule_lets_items_that_are_had_speak():
    model = fitted("itemknn", THREE, 3, k=1, nearest_of="owned")
    assert model.scores(pairs(0, 1, 2)).tolist() == [[1, 1, 0], [1.5, 1, 0], [0.5, 0, 0]]


def test_cosines_that_are_equal_as_fractions_tie():
    """Items 1 and 2 have the cosine 1 / sqrt(3) with item 0, one from 3 users, one from 6."""
    item_0, item_1 = range(9), range(3)
    item_2 = (*range(3, 9), *range(10, 16))
    had = sorted((user, item) for item, by in enumerate((item_0, item_1, item_2)) for user in by)
    rows = rows_of(*map(list, zip(*had, strict=True)))
    model = fitted("itemknn", rows, 3, num_users=16, k=2)
    assert model.neighbour_IK[0].tolist() == [1, 2]
    assert model.similarity_IK[0].tolist() == torch.tensor([1 / math.sqrt(3)] * 2).tolist()


def test_shrink_lowers_what_rests_on_few_users():
    model = fitted("itemknn", THREE, 3, k=2, shrink=2.0)
    assert model.similarity_IK.tolist() == [[0.5, 0.25], [0.5, 0.25], [0.25, 0.25]]


def test_an_item_had_twice_counts_twice():
    model = fitted("itemknn", rows_of([0, 0, 0, 1, 1], [0, 0, 1, 0, 1]), 2)
    cosine = 3 / math.sqrt(5 * 2)
    torch.testing.assert_close(
        model.scores(pairs(0, 1)), torch.tensor([[cosine, 2 * cosine], [cosine, cosine]])
    )


def test_pieces_change_nothing(monkeypatch):
    rows = random_rows(2)
    whole = fitted("itemknn", rows, 17, 30, k=4)
    scores = whole.scores(pairs(*range(30)))
    monkeypatch.setattr("erase_ray.models._own_items.MOST_CELLS", 40)
    monkeypatch.setattr("erase_ray.models._own_items.MOST_PAIRS", 3)
    monkeypatch.setattr("erase_ray.models.itemknn.MOST_TERMS", 5)
    cut = fitted("itemknn", rows, 17, 30, k=4)
    assert torch.equal(cut.neighbour_IK, whole.neighbour_IK)
    assert torch.equal(cut.similarity_IK, whole.similarity_IK)
    assert torch.equal(cut.scores(pairs(*range(30))), scores)


def test_nothing_of_the_layout_outlives_scoring():
    model = fitted("itemknn", THREE, 3)
    with model.scoring():
        before = model.scores(pairs(0))
    model.similarity_IK *= 2
    assert torch.equal(model.scores(pairs(0)), 2 * before)


def test_without_rows_all_scores_are_zero():
    model = fitted("itemknn", no_rows(), 3)
    assert model.scores(pairs(0, 4)).tolist() == [[0, 0, 0]] * 2


def test_settings_have_bounds():
    kind = MODELS.get("itemknn")
    with pytest.raises(ValidationError, match=r"k\n\s+Input should be greater than or equal to 1"):
        kind.Settings(k=0)
    with pytest.raises(ValidationError, match=r"shrink\n\s+Input should be greater than or equal"):
        kind.Settings(shrink=-1.0)
