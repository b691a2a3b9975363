import pytest
import torch

from erase_ray.models._splice import all_but, inserted, lower_bounds, starts, without

FLAT = torch.tensor([5, 6, 7, 8])


@pytest.fixture(params=[0, 256])
def few(request, monkeypatch):
    """Entry by entry, or stretch by stretch."""
    monkeypatch.setattr("erase_ray.models._splice.FEW", request.param)


@pytest.mark.usefixtures("few")
def test_entries_leave():
    assert without(FLAT, torch.tensor([0, 2])).tolist() == [6, 8]
    assert without(FLAT, torch.tensor([3])).tolist() == [5, 6, 7]
    assert without(FLAT, torch.tensor([0, 1, 2, 3])).tolist() == []
    assert without(FLAT, FLAT[:0]).tolist() == [5, 6, 7, 8]


@pytest.mark.usefixtures("few")
def test_entries_come_in_before_their_places():
    new = torch.tensor([1, 2, 3])
    assert inserted(FLAT, torch.tensor([0, 2, 2]), new).tolist() == [1, 5, 6, 2, 3, 7, 8]
    assert inserted(FLAT, torch.tensor([4, 4, 4]), new).tolist() == [5, 6, 7, 8, 1, 2, 3]
    assert inserted(FLAT[:0], torch.tensor([0, 0, 0]), new).tolist() == [1, 2, 3]
    assert inserted(FLAT, FLAT[:0], FLAT[:0]).tolist() == [5, 6, 7, 8]


def test_first_places_that_are_not_below():
    flat = torch.tensor([1, 4, 4, 9, 0, 2])
    start, end = torch.tensor([0, 0, 0, 4, 4, 2, 6]), torch.tensor([4, 4, 4, 6, 6, 2, 6])
    wanted = torch.tensor([4, 0, 10, 1, 3, 5, 5])
    assert lower_bounds(flat, start, end, wanted).tolist() == [1, 0, 4, 5, 6, 2, 6]
    assert lower_bounds(flat[:0], start[:0], end[:0], wanted[:0]).tolist() == []


def test_starts_and_masks():
    assert starts(torch.tensor([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert starts(FLAT[:0]).tolist() == [0]
    assert all_but(torch.tensor([1]), 3).tolist() == [True, False, True]
