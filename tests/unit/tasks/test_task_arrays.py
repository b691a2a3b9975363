"""Runs of rows, by hand."""

import numpy as np
import torch

from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.tasks._arrays import find, ragged, running_hash


def test_runs_begin_where_any_column_changes():
    left, right = np.array([1, 1, 1, 2, 2]), np.array([0, 0, 5, 5, 5])
    assert run_starts(left).tolist() == [0, 3]
    assert run_starts(left, right).tolist() == [0, 2, 3]
    assert run_sizes(run_starts(left, right), 5).tolist() == [2, 1, 2]
    assert run_starts(np.zeros(0)).tolist() == []
    assert run_sizes(np.zeros(0, np.int64), 0).tolist() == []


def test_find_keeps_the_order_of_what_is_wanted():
    asked, place = find(np.array([7, 3, 9, 5]), np.array([5, 7, 3]))
    assert asked.tolist() == [0, 1, 3]
    assert place.tolist() == [1, 2, 0]
    assert [part.tolist() for part in find(np.array([1]), np.zeros(0, np.int64))] == [[], []]


def test_ragged_lists_the_positions_of_each_run():
    positions, owners = ragged(torch.tensor([5, 0, 2]), torch.tensor([2, 0, 3]))
    assert positions.tolist() == [5, 6, 2, 3, 4]
    assert owners.tolist() == [0, 0, 2, 2, 2]


def test_running_hash_does_not_depend_on_what_came_before():
    whole = running_hash(torch.tensor([3, 8, 9, 12]))
    view = running_hash(torch.tensor([8, 9]))
    assert whole[3] - whole[1] == view[2]
    assert whole[0] == 0
    assert len(whole) == 5
