import numpy as np
import pytest
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Part, Split
from erase_ray.methods._sisa_partition import (
    balanced_shards,
    joined,
    random_shards,
    user_vectors,
)


def test_random_shards_are_of_equal_size_but_for_one_person():
    shard_U = random_shards(10, 4, seed=3)
    assert sorted(np.bincount(shard_U).tolist()) == [2, 2, 3, 3]
    assert not np.array_equal(shard_U, np.sort(shard_U))
    assert not np.array_equal(shard_U, random_shards(10, 4, seed=4))


def test_joined_by_hand():
    # user 0 takes centre 0 (1), user 2 centre 1 (2), user 1 finds 0 full (3) and takes 1 (6)
    distance_US = np.array([[1.0, 5.0], [3.0, 6.0], [4.0, 2.0], [3.5, 9.0]])
    assert joined(distance_US, 2).tolist() == [0, 0, 1, 1]
    assert joined(distance_US[:3], 2).tolist() == [0, 0, 1]
    assert joined(distance_US[[0, 1]], 1).tolist() == [0, 1]


def test_of_equal_distances_the_lower_ids_go_first():
    assert joined(np.zeros((5, 3)), 2).tolist() == [0, 0, 1, 1, 2]


def down_the_list(distance_US, capacity):
    """Algorithm 1 of RecEraser as it stands: all pairs in order of their distance."""
    num_users, num_shards = distance_US.shape
    pairs = sorted((d, u, s) for (u, s), d in np.ndenumerate(distance_US))
    centre_U, room_S = np.full(num_users, -1), np.full(num_shards, capacity)
    for _, user, shard in pairs:
        if centre_U[user] < 0 and room_S[shard]:
            centre_U[user] = shard
            room_S[shard] -= 1
    return centre_U


@pytest.mark.parametrize("seed", range(20))
def test_joined_is_the_walk_down_the_sorted_list(seed):
    draw = np.random.default_rng(seed)
    num_users, num_shards = draw.integers(1, 60), draw.integers(1, 8)
    # few distinct values, so that there are ties
    distance_US = draw.integers(0, 12, (num_users, num_shards)).astype(float)
    capacity = -(-num_users // num_shards)
    expected = down_the_list(distance_US, capacity)
    assert np.array_equal(joined(distance_US, capacity), expected)


def groups(num_groups=3, people=8, items=6):
    """Groups of people who all have half of the items of their group."""
    draw = np.random.default_rng(0)
    rows = [
        (user, item)
        for user in range(num_groups * people)
        for item in sorted(draw.permutation(items)[: items // 2] + items * (user % num_groups))
    ]
    user, item = np.array(rows).T
    step = np.concatenate([np.arange(size) for size in np.bincount(user)])
    columns = {"user": user, "sequence": user, "step": step, "item": item, "time": step}
    return Interactions.prepared(columns)


def train_only(table):
    return Split(np.full(len(table), Part.TRAIN, np.int8))


def test_balanced_shards_find_like_minded_people():
    table = groups()
    vector_UD = user_vectors(table, train_only(table), 3, seed=1)
    shard_U = balanced_shards(vector_UD, 3, seed=2)
    assert np.bincount(shard_U).tolist() == [8, 8, 8]
    assert all(len(set(shard_U[group::3])) == 1 for group in range(3))


def test_balanced_shards_are_balanced_where_people_are_not():
    vector_UD = torch.eye(2, dtype=torch.float64)[[0] * 9 + [1]]
    assert sorted(np.bincount(balanced_shards(vector_UD, 2, seed=0)).tolist()) == [5, 5]


def test_user_vectors_are_those_of_the_exact_decomposition():
    table = groups()
    counts_UI = np.zeros((table.num_users, table.num_items))
    np.add.at(counts_UI, (table.user, table.item), 1)
    left_UK, spread_K, _ = np.linalg.svd(counts_UI, full_matrices=False)
    exact_UD = left_UK[:, :4] * spread_K[:4]
    exact_UD /= np.linalg.norm(exact_UD, axis=1, keepdims=True)
    vector_UD = user_vectors(table, train_only(table), 4, seed=1).numpy()
    # signs of singular vectors are free, inner products are not; the spectrum has no gaps here
    assert np.allclose(vector_UD @ vector_UD.T, exact_UD @ exact_UD.T, atol=1e-3)


def test_user_vectors_read_training_rows_alone():
    table = groups()
    marks = np.where(table.user == 4, Part.VALID, Part.TRAIN).astype(np.int8)
    vector_UD = user_vectors(table, Split(marks), 3, seed=1)
    length_U = vector_UD.norm(dim=1)
    assert length_U[4] == 0
    assert np.allclose(np.delete(length_U.numpy(), 4), 1)


def test_vectors_are_no_longer_than_the_table_is_wide():
    table = groups(1, 4, 2)
    assert user_vectors(table, train_only(table), 50, seed=1).shape == (4, 2)
