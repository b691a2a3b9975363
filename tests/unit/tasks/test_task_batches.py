"""An epoch's batches are those of single calls, and what is known on the host is right."""

from dataclasses import fields

import pytest
import torch

from erase_ray.models._packing import Packing
from erase_ray.tasks import TASKS, Cut, cf
from tests.conftest import CPU, planted


@pytest.mark.parametrize("name", TASKS.names())
def test_batches_of_an_epoch_are_those_of_single_calls(name, monkeypatch):
    monkeypatch.setattr(cf, "DRAWN_AT_ONCE", 100)
    data = planted(name)
    examples = TASKS.get(name)().examples(data.interactions, data.split, Cut(20, CPU))
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(2))[:230]
    batches = list(examples.batches(order, 32, 7))
    singles = [examples.batch(index, 7) for index in order.split(32)]
    assert len(batches) == len(singles) == 8
    for batch, single in zip(batches, singles, strict=True):
        for field in fields(single):
            ours, theirs = getattr(batch, field.name), getattr(single, field.name)
            same = torch.equal(ours, theirs) if torch.is_tensor(theirs) else ours == theirs
            assert same, field.name


def test_packing_from_known_sizes_is_that_from_lengths():
    data = planted("session_based")
    examples = TASKS.get("session_based")().examples(data.interactions, data.split, Cut(20, CPU))
    batch = examples.batch(torch.arange(0, 300, 7), 1)
    assert batch.sizes is not None
    assert sum(batch.sizes) == int(batch.length_B.sum())
    known, asked = Packing.of(batch.length_B, batch.sizes), Packing.of(batch.length_B)
    assert known.sizes == asked.sizes
    assert torch.equal(known.sequence_N, asked.sequence_N)
    assert torch.equal(known.step_N, asked.step_N)
    longest = int(batch.length_B.argmax())
    steps = torch.arange(3)
    rows = known.place(torch.full((3,), longest), steps)
    assert known.sequence_N[rows].tolist() == [longest] * 3
    assert known.step_N[rows].tolist() == [0, 1, 2]


def test_windows_know_the_sequence_they_are_cut_from():
    data = planted("session_based")
    table = data.interactions
    examples = TASKS.get("session_based")().examples(table, data.split, Cut(20, CPU))
    batch = examples.batch(torch.arange(50), 1)
    assert batch.sequence_B is not None
    assert batch.sequence_B.tolist() == table.sequence[examples.rows[:50].numpy()].tolist()
