"""Fake people of next-basket recommendation."""

import numpy as np

from erase_ray.data.interactions import Interactions
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.scenarios._fakes import (
    LENGTH_FACTOR,
    MIN_LENGTH,
    Attack,
    drawn_distinct,
    drawn_times,
    fake_rows,
    numbered,
)

_TWO_FROM = 5
"""Size from which a basket holds two targets; a smaller one holds one."""
_SIZE_FACTOR, _MAX_SIZE_FACTOR, _MIN_SIZE = 0.9, 0.8, 2


def baskets(real: Interactions, attack: Attack) -> Interactions:
    """Baskets of distinct items, one or two of them targets, each with a time of its own."""
    sizes_G, mean_baskets = _real_sizes(real)
    number_F = _num_baskets(mean_baskets, attack)
    fake_G, step_G = numbered(number_F)
    time_G = drawn_times(real, number_F, attack)
    size_G = _sizes(sizes_G, len(fake_G), attack)
    target_G = attack.num_targets(size_G, _TWO_FROM)
    others = attack.others
    other_G = np.minimum(size_G - target_G, len(others))
    basket_N = np.repeat(np.tile(np.arange(len(fake_G)), 2), np.r_[target_G, other_G])
    item_N = np.r_[
        drawn_distinct(attack.targets, target_G, attack), drawn_distinct(others, other_G, attack)
    ]
    order = np.lexsort((item_N, basket_N))
    basket_N, item_N = basket_N[order], item_N[order]
    return fake_rows(real, fake_G[basket_N], step_G[basket_N], item_N, time_G[basket_N])


def _real_sizes(real: Interactions) -> tuple[np.ndarray, float]:
    """Rows of each real basket, and baskets of a person, on average."""
    starts = run_starts(real.sequence, real.step)
    return run_sizes(starts, len(real)), len(starts) / real.num_sequences


def _num_baskets(mean_baskets: float, attack: Attack) -> np.ndarray:
    usual = max(MIN_LENGTH, int(mean_baskets))
    drawn_F = attack.generator.normal(LENGTH_FACTOR * usual, 0.2 * usual, attack.num_fakes)
    return np.clip(np.floor(drawn_F), MIN_LENGTH, usual * 3 // 2).astype(np.int64)


def _sizes(sizes_G: np.ndarray, number: int, attack: Attack) -> np.ndarray:
    drawn = attack.generator.normal(_SIZE_FACTOR * sizes_G.mean(), sizes_G.std(), number)
    largest = max(_MIN_SIZE, int(_MAX_SIZE_FACTOR * sizes_G.max()))
    return np.clip(np.floor(drawn), _MIN_SIZE, largest).astype(np.int64)
