import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from erase_ray import seeds

MASK = (1 << 64) - 1


def splitmix(value: int) -> int:
    """SplitMix64 in Python's own integers, as in the published C code."""
    z = value & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_hash_is_splitmix64(seed, number):
    found = int(seeds.hash_ids(seed, torch.tensor([number]))[0]) & MASK
    assert found == splitmix(number * 0x9E3779B97F4A7C15 + seed)


def test_derive_depends_on_every_name():
    derived = {
        seeds.derive(2, "a"),
        seeds.derive(3, "a"),
        seeds.derive(2, "a", 1),
        seeds.derive(2, "b"),
    }
    assert len(derived) == 4
    assert all(0 <= value < 2**63 for value in derived)
    assert seeds.derive(2, "a", "b") != seeds.derive(2, "ab")


def test_below_is_uniform_and_in_range():
    draws = seeds.below(10, 7, torch.arange(100_000)).numpy()
    counts = np.bincount(draws, minlength=10)
    assert draws.min() == 0
    assert draws.max() == 9
    # 5 standard deviations of a binomial with n = 100,000 and p = 0.1
    assert np.all(np.abs(counts - 10_000) < 5 * np.sqrt(100_000 * 0.1 * 0.9))


def test_order_keeps_the_order_of_those_that_stay():
    ids = torch.arange(1000)
    full = ids[seeds.order(5, ids)]
    left = ids[ids % 7 != 0]
    again = left[seeds.order(5, left)]
    assert full.tolist() != ids.tolist()
    assert [number for number in full.tolist() if number % 7] == again.tolist()


def test_torch_scope_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeds.torch_scope(99, torch.device("cpu")):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeds.torch_scope(99, torch.device("cpu")):
        assert torch.equal(torch.rand(3), inside)
