"""Samples without replacement, from few and from many."""

import pytest
import torch

from erase_ray.methods._sample import sample

OWNER = torch.arange(4000) // 4
NOBODY = torch.zeros(0, dtype=torch.int64)


@pytest.mark.parametrize("num", [0, 7, 900, 3000, 4000, 9000])
def test_has_the_size_and_no_entry_twice(num):
    found = sample(OWNER, num, 3, NOBODY)
    assert len(found) == min(num, 4000) == len(found.unique())


@pytest.mark.parametrize("num", [40, 3000])
def test_barred_owners_are_not_in_it(num):
    barred = torch.arange(0, 1000, 2)
    found = sample(OWNER, num, 3, barred)
    assert len(found) == min(num, 2000)
    assert bool((OWNER[found] % 2 == 1).all())


def test_all_but_a_few_barred():
    found = sample(OWNER, 5, 3, torch.arange(999))
    assert sorted(found.tolist()) == [3996, 3997, 3998, 3999]


@pytest.mark.parametrize("num", [40, 2000])
def test_is_a_function_of_the_seed(num):
    assert torch.equal(sample(OWNER, num, 3, NOBODY), sample(OWNER, num, 3, NOBODY))
    assert not torch.equal(sample(OWNER, num, 3, NOBODY), sample(OWNER, num, 4, NOBODY))


@pytest.mark.parametrize("num", [250, 2000])
def test_every_entry_is_equally_likely(num):
    """Over 400 seeds each entry is drawn about 400 num / N times; 6 standard deviations."""
    counts = torch.zeros(4000)
    for seed in range(400):
        counts[sample(OWNER, num, seed, NOBODY)] += 1
    share = num / 4000
    spread = (400 * share * (1 - share)) ** 0.5
    assert float((counts - 400 * share).abs().max()) < 6 * spread
