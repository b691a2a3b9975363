"""What a request changed is put back, measured and checked."""

import math

import torch

from erase_ray.methods._undo import Undo


def test_rows_are_kept_as_they_were_first():
    table, undo = torch.arange(8.0).view(4, 2), Undo()
    undo.keep(table, torch.tensor([1]))
    table[1] = 9
    undo.keep(table, torch.tensor([1, 3]))
    table[3] = 7
    assert undo.distance() == math.sqrt(7**2 + 6**2 + 1**2 + 0)
    undo.restore()
    assert torch.equal(table, torch.arange(8.0).view(4, 2))


def test_rows_then_everything():
    table, undo = torch.zeros(3, 2), Undo()
    undo.keep(table, torch.tensor([0]))
    table[0] = 1
    undo.keep(table)
    table += 1
    undo.restore()
    assert not table.any()


def test_everything_then_rows():
    table, undo = torch.zeros(3), Undo()
    undo.keep(table)
    undo.keep(table, torch.tensor([2]))
    table[:] = 2
    assert undo.distance() == math.sqrt(12)
    undo.restore()
    assert not table.any()


def test_only_what_is_kept_has_to_be_finite():
    table, undo = torch.zeros(3), Undo()
    assert undo.finite()
    undo.keep(table, torch.tensor([0]))
    table[1] = math.inf
    assert undo.finite()
    table[0] = math.nan
    assert not undo.finite()


def test_nothing_kept_is_no_change():
    undo = Undo()
    undo.restore()
    assert undo.distance() == 0.0
