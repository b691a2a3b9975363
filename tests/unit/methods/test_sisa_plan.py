import numpy as np
import pytest

from erase_ray.methods._sisa_plan import slice_epochs, slices_of, visits_of


def test_slices_of_a_shard_are_of_equal_size_but_for_one_person():
    shard_U = np.arange(70) % 3
    slice_U = slices_of(shard_U, 4, seed=5)
    sizes = [np.bincount(slice_U[shard_U == shard], minlength=4) for shard in range(3)]
    assert [sorted(each.tolist()) for each in sizes] == [[6, 6, 6, 6], [5, 6, 6, 6], [5, 6, 6, 6]]


def test_a_shard_of_few_people_has_one_slice_a_person():
    slice_U = slices_of(np.array([0, 1, 0, 0]), 5, seed=1)
    assert sorted(slice_U[[0, 2, 3]].tolist()) == [0, 1, 2]
    assert slice_U[1] == 0


def test_slices_depend_on_the_seed():
    shard_U = np.zeros(50, np.int64)
    assert np.array_equal(slices_of(shard_U, 5, 1), slices_of(shard_U, 5, 1))
    assert not np.array_equal(slices_of(shard_U, 5, 1), slices_of(shard_U, 5, 2))


@pytest.mark.parametrize(
    ("epochs", "num_slices", "expected"),
    [
        (7, 1, (7,)),
        (6, 2, (4, 4)),  # 2 * 6 / 3
        (10, 4, (4, 4, 4, 4)),  # 2 * 10 / 5
        (3, 3, (2, 1, 2)),  # 1.5 each; 2 + 2 + 6 visits of a third are 10, not 9
        (1, 4, (1, 1, 1, 1)),
    ],
)
def test_passes(epochs, num_slices, expected):
    assert slice_epochs(epochs, num_slices) == expected


@pytest.mark.parametrize("num_slices", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("epochs", [11, 40, 60, 100, 101])
def test_passes_cost_what_training_without_slices_costs(epochs, num_slices):
    passes = slice_epochs(epochs, num_slices)
    visits = sum(number * each for number, each in enumerate(passes, 1)) / num_slices
    assert abs(visits - epochs) <= 0.5
    assert min(passes) >= 1


def test_visits():
    counts = np.array([10, 0, 5])
    assert visits_of(counts, (2, 3, 4), 0) == 2 * 10 + 4 * 15
    assert visits_of(counts, (2, 3, 4), 1) == 4 * 15
    assert visits_of(np.zeros(3, np.int64), (2, 3, 4), 0) == 0
