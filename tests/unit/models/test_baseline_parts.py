import pytest
import torch

from erase_ray.models._own_items import OwnItems
from erase_ray.models._pieces import pieces
from erase_ray.models._strongest import strongest
from tests.unit.models._baselines import random_rows


def test_pieces_hold_no_more_than_the_most():
    sizes = torch.tensor([3, 2, 0, 5, 9, 1, 0, 0])
    cut = list(pieces(sizes, 5))
    assert cut == [slice(0, 3), slice(3, 4), slice(4, 5), slice(5, 8)]


def test_pieces_of_nothing():
    assert list(pieces(torch.zeros(0, dtype=torch.int64), 5)) == []
    assert list(pieces(torch.zeros(3, dtype=torch.int64), 5)) == [slice(0, 3)]


def test_strongest_of_each_list_with_ties_in_the_order_of_the_list():
    values = torch.tensor([0.5, 2.0, 0.5, 7.0, 1.0, 1.0, 1.0, 3e-30])
    value, place = strongest(values, torch.tensor([3, 0, 1, 4]), 2)
    assert value.tolist() == [[2.0, 0.5], [0.0, 0.0], [7.0, 0.0], [1.0, 1.0]]
    assert place.tolist() == [[1, 0], [0, 0], [3, 0], [4, 5]]


def test_strongest_when_all_lists_are_short_or_there_is_none():
    value, place = strongest(torch.tensor([0.0, 1.0]), torch.tensor([2]), 3)
    assert value.tolist() == [[1.0, 0.0, 0.0]]
    assert place[0, :2].tolist() == [1, 0]
    nothing = torch.zeros(0, dtype=torch.int64)
    value, place = strongest(torch.zeros(0), nothing, 3)
    assert value.shape == place.shape == (0, 3)
    value, place = strongest(torch.zeros(0), torch.zeros(2, dtype=torch.int64), 3)
    assert value.tolist() == place.tolist() == [[0.0] * 3] * 2


def dense(rows, num_users=30, num_items=17):
    counts = torch.zeros(num_users, num_items, dtype=torch.float64)
    return counts.index_put((rows.user_N, rows.item_N), torch.ones(()).double(), accumulate=True)


def joint_matrix(own, num_items=17):
    matrix = torch.zeros(num_items, num_items, dtype=torch.float64)
    last = -1
    for item_C, other_C, value_C in own.joint_counts():
        keys = item_C * num_items + other_C
        assert torch.equal(keys, keys.unique())
        if len(keys):
            assert keys[0] > last
            last = keys[-1]
        assert (value_C != 0).all()
        matrix[item_C, other_C] = value_C
    return matrix


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("cells", "num_pairs"), [(1 << 22, 1 << 20), (1, 1), (60, 7)])
def test_joint_counts_are_those_of_the_dense_product(seed, cells, num_pairs, monkeypatch):
    monkeypatch.setattr("erase_ray.models._own_items.MOST_CELLS", cells)
    monkeypatch.setattr("erase_ray.models._own_items.MOST_PAIRS", num_pairs)
    rows = random_rows(seed)
    counts = dense(rows)
    own = OwnItems(rows.user_N, rows.item_N, 17)
    assert counts.max() > 1
    assert torch.equal(joint_matrix(own), counts.T @ counts)
    assert torch.equal(own.squares(), (counts**2).sum(0))


def test_own_items_of_users_shrink_and_grow_back():
    rows = random_rows(1)
    own = OwnItems(rows.user_N, rows.item_N, 17)
    everyone = torch.arange(30).flip(0)

    def matrix():
        lists = own.of(everyone)
        assert torch.equal(torch.bincount(lists.owner_M, minlength=30), lists.length_B)
        found = torch.zeros(30, 17, dtype=torch.float64)
        return found.index_put((everyone[lists.owner_M], lists.item_M), lists.count_M)

    assert torch.equal(matrix(), dense(rows))
    gone = torch.randperm(200, generator=torch.Generator().manual_seed(4))[:120]
    own.change(rows.user_N[gone], rows.item_N[gone], -1)
    left = torch.ones(200, dtype=torch.bool).index_fill_(0, gone, False)
    rows_left = torch.zeros(30, 17, dtype=torch.float64).index_put(
        (rows.user_N[left], rows.item_N[left]), torch.ones(()).double(), accumulate=True
    )
    assert torch.equal(matrix(), rows_left)
    own.change(rows.user_N[gone], rows.item_N[gone], 1)
    assert torch.equal(matrix(), dense(rows))


def test_what_is_not_there_cannot_be_taken_away():
    own = OwnItems(torch.tensor([0, 1]), torch.tensor([3, 4]), 5)
    for user, item in ((0, 4), (2, 0)):
        with pytest.raises(AssertionError):
            own.change(torch.tensor([user]), torch.tensor([item]), -1)
    with pytest.raises(AssertionError):
        own.change(torch.tensor([0, 0]), torch.tensor([3, 3]), -1)
