"""Draws of items that a user does not have."""

import numpy as np
import pytest
import torch

from erase_ray.tasks import _negatives
from erase_ray.tasks._negatives import Taken

NUM_ITEMS = 40


@pytest.fixture
def taken():
    """30 users with 1 to 39 of 40 items, and one who has all."""
    draw = np.random.default_rng(1)
    keys = [
        user * NUM_ITEMS + item
        for user in range(31)
        for item in draw.permutation(NUM_ITEMS)[: [user + 9, NUM_ITEMS][user == 30]]
    ]
    return Taken(torch.tensor(sorted(keys)), NUM_ITEMS)


def examples(num=3000):
    rows = torch.arange(num) * 7
    return rows % 31, rows


def test_nothing_the_user_has_is_drawn(taken):
    users, rows = examples()
    drawn = taken.negatives(users, rows, 3)
    keys = set(taken.keys.tolist())
    pairs = zip(users.tolist(), drawn.tolist(), strict=True)
    assert all(user * NUM_ITEMS + item not in keys for user, item in pairs if user != 30)
    assert drawn.min() >= 0
    assert drawn.max() < NUM_ITEMS


def test_searching_gives_what_the_map_gives(taken, monkeypatch):
    users, rows = examples()
    looked_up = taken.negatives(users, rows, 3)
    assert taken._map is not None
    monkeypatch.setattr(_negatives, "MAP_CELLS", 0)
    searching = Taken(taken.keys, NUM_ITEMS)
    assert searching._map is None
    assert torch.equal(searching.negatives(users, rows, 3), looked_up)


def test_the_way_without_questions_to_the_device_gives_the_same(taken):
    users, rows = examples()
    first = taken._draw(rows, 3, 0)
    assert torch.equal(taken._redrawn(first, users, rows, 3), taken.negatives(users, rows, 3))


@pytest.mark.parametrize("attempts", [1, 16])
def test_draws_are_uniform_over_the_free_items(monkeypatch, attempts):
    """6 of 40 items are free; 6,000 draws give 1,000 each, give or take 5 sigma."""
    monkeypatch.setattr(_negatives, "NUM_ATTEMPTS", attempts)
    free = [0, 3, 17, 18, 33, 39]
    keys = [NUM_ITEMS + item for item in range(NUM_ITEMS) if item not in free]
    taken = Taken(torch.tensor([5, 8, *keys, 2 * NUM_ITEMS + 1]), NUM_ITEMS)
    drawn = taken.negatives(torch.ones(6000, dtype=torch.int64), torch.arange(6000), 4)
    counts = np.bincount(drawn.numpy(), minlength=NUM_ITEMS)
    assert np.flatnonzero(counts).tolist() == free
    assert (abs(counts[free] - 1000) < 5 * np.sqrt(1000 * 5 / 6)).all()


def test_without_any_rows_everything_is_free():
    taken = Taken(torch.zeros(0, dtype=torch.int64), 3)
    drawn = taken.negatives(torch.zeros(50, dtype=torch.int64), torch.arange(50), 1)
    assert set(drawn.tolist()) == {0, 1, 2}
