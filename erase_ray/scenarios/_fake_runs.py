"""Fake sessions, and fake profiles of collaborative filtering that are made the same way."""

import numpy as np

from erase_ray.data.interactions import Interactions
from erase_ray.scenarios._fakes import (
    Attack,
    drawn_distinct,
    drawn_lengths,
    drawn_times,
    fake_rows,
    numbered,
)

_TWO_FROM = 6
"""Length from which a fake holds two targets; a shorter one holds one."""


def sessions(real: Interactions, attack: Attack) -> Interactions:
    """Sessions of new people, one each: fillers with repeats, one or two targets among them.

    A target is never first; of two, both may fall on the same place.
    """
    length_F = drawn_lengths(real, attack)
    fake_N, step_N = numbered(length_F)
    generator = attack.generator
    item_N = attack.fillers[generator.integers(len(attack.fillers), size=len(fake_N))]
    low_F, high_F = np.maximum(1, length_F // 5), np.maximum(2, length_F * 9 // 10)
    first_F = np.cumsum(length_F) - length_F
    for number in range(2):
        place_F = first_F + generator.integers(low_F, high_F)
        target_F = attack.targets[generator.integers(len(attack.targets), size=len(length_F))]
        has_F = (length_F >= _TWO_FROM) | (number == 0)
        item_N[place_F[has_F]] = target_F[has_F]
    return fake_rows(real, fake_N, step_N, item_N, drawn_times(real, length_F, attack))


def profiles(real: Interactions, attack: Attack) -> Interactions:
    """Profiles of new people: distinct fillers and one or two distinct targets, in any order."""
    others, generator = attack.others, attack.generator
    length_F = drawn_lengths(real, attack)
    target_F = attack.num_targets(length_F, _TWO_FROM)
    length_F = np.minimum(length_F, target_F + len(others))
    owner_N = np.repeat(np.tile(np.arange(len(length_F)), 2), np.r_[target_F, length_F - target_F])
    item_N = np.r_[
        drawn_distinct(attack.targets, target_F, attack),
        drawn_distinct(others, length_F - target_F, attack),
    ]
    shuffled = np.lexsort((generator.random(len(item_N)), owner_N))
    fake_N, step_N = numbered(length_F)
    times = drawn_times(real, length_F, attack)
    return fake_rows(real, fake_N, step_N, item_N[shuffled], times)
