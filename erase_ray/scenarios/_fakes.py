"""What fake sessions, profiles and baskets have in common: lengths, times, distinct items."""

import math
from dataclasses import dataclass

import numpy as np

from erase_ray.data.interactions import Interactions

MIN_LENGTH = 4
LENGTH_FACTOR, GAP_FACTOR = 0.8, 0.7
"""Mean length and mean gap of fakes, as shares of the real ones."""
SHAPES = (0.2, 20.0)
"""Bounds of the Weibull shape of the gaps. A standard deviation above 6 means would ask for a
smaller one, with a scale near zero (the gamma function overflows below 0.006) and a few gaps that
dwarf all others; equal gaps would ask for an infinite one."""
_BLOCK = 1 << 20
_MAX_RATE = 1e9


@dataclass(frozen=True, eq=False)
class Attack:
    """What is faked.

    Args:
        num_fakes: At least one.
        targets: Items to push, without repeats.
        fillers: Items that the rest is drawn from, without repeats; targets may be among them.
        generator: Source of all draws.
    """

    num_fakes: int
    targets: np.ndarray
    fillers: np.ndarray
    generator: np.random.Generator

    @property
    def others(self) -> np.ndarray:
        """The fillers that are no targets, ascending."""
        return np.setdiff1d(self.fillers, self.targets)

    def num_targets(self, length_N: np.ndarray, from_length: int) -> np.ndarray:
        """How many targets something of each length holds: 2 from a length on, 1 below."""
        return np.where(length_N >= from_length, min(2, len(self.targets)), 1)


def drawn_lengths(real: Interactions, attack: Attack) -> np.ndarray:
    """Lengths of fake sequences, int64, shape ``(F,)``, from 4 to the longest real sequence.

    A Poisson draw whose rate is log-normal, with 0.8 times the real mean and the real standard
    deviation.
    """
    sizes_S = np.bincount(real.sequence, minlength=real.num_sequences)
    mean = LENGTH_FACTOR * sizes_S.mean()
    variance = math.log1p(sizes_S.var() / mean**2)
    log_mean = math.log(mean) - variance / 2
    rate_F = attack.generator.lognormal(log_mean, math.sqrt(variance), attack.num_fakes)
    length_F = attack.generator.poisson(np.minimum(rate_F, _MAX_RATE))
    return np.clip(length_F, MIN_LENGTH, max(MIN_LENGTH, sizes_S.max()))


def drawn_times(real: Interactions, length_F: np.ndarray, attack: Attack) -> np.ndarray:
    """Times of fake steps, ascending in each fake, int64, shape ``(sum of lengths,)``.

    Gaps are Weibull with 0.7 times the real mean and a shape of 1.2 / (their variation), at least
    1; a fake that would take longer than the real data is compressed. It starts anywhere that
    leaves it inside the time of the real data.
    """
    gap_N = _gaps(real, int(length_F.sum()), attack.generator)
    first_F = np.cumsum(length_F) - length_F
    gap_N[first_F] = 0
    total_N = np.cumsum(gap_N)
    offset_N = total_N - np.repeat(total_N[first_F], length_F)
    duration_F = offset_N[first_F + length_F - 1]
    begin, span = int(real.time.min()), int(real.time.max() - real.time.min())
    scale_F = np.minimum(1.0, span / np.maximum(duration_F, 1))
    offset_N = np.floor(offset_N * np.repeat(scale_F, length_F)).astype(np.int64)
    room_F = span - np.minimum(duration_F, span)
    start_F = begin + attack.generator.integers(0, room_F, endpoint=True)
    return np.repeat(start_F, length_F) + offset_N


def drawn_distinct(pool: np.ndarray, count_N: np.ndarray, attack: Attack) -> np.ndarray:
    """Items of ``pool`` for each of N owners, none twice for one, shape ``(sum of counts,)``."""
    choose, size = attack.generator.choice, len(pool)
    parts = [choose(size, count, replace=False, shuffle=False) for count in count_N.tolist()]
    return pool[np.concatenate(parts).astype(np.int64)]


def fake_rows(
    real: Interactions,
    fake_N: np.ndarray,
    step_N: np.ndarray,
    item_N: np.ndarray,
    time_N: np.ndarray,
) -> Interactions:
    """Rows of new people and sequences behind those of ``real``.

    Args:
        real: The table they will be appended to.
        fake_N: Number of the fake, from 0 on without gaps, ascending.
        step_N: Steps, ascending in each fake.
        item_N: Inner item ids.
        time_N: Times, in the unit of ``real``.
    """
    num_fakes = int(fake_N[-1]) + 1
    return Interactions(
        user=(real.num_users + fake_N).astype(np.int32),
        sequence=(real.num_sequences + fake_N).astype(np.int32),
        step=step_N.astype(np.int32),
        item=item_N.astype(np.int32),
        time=time_N.astype(np.int64),
        row=real.row[-1] + 1 + np.arange(len(fake_N), dtype=np.int64),
        num_users=real.num_users + num_fakes,
        num_items=real.num_items,
        num_sequences=real.num_sequences + num_fakes,
    )


def numbered(length_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owner and position (0, 1, ...) of each element of runs of the given lengths."""
    owner_M = np.repeat(np.arange(len(length_N)), length_N)
    return owner_M, np.arange(len(owner_M)) - np.repeat(np.cumsum(length_N) - length_N, length_N)


def _gaps(real: Interactions, number: int, generator: np.random.Generator) -> np.ndarray:
    mean, deviation = _gap_moments(real)
    mean *= GAP_FACTOR
    if not mean:
        return np.ones(number, np.int64)
    shape = float(np.clip(1.2 * mean / max(deviation, 1e-300), *SHAPES))
    scale = mean / math.gamma(1 + 1 / shape)
    return np.maximum(1, np.rint(generator.weibull(shape, number) * scale)).astype(np.int64)


def _gap_moments(real: Interactions) -> tuple[float, float]:
    """Mean and standard deviation of the time between neighbouring steps of a sequence."""
    number, total, squares = 0, 0, 0.0
    for start in range(0, len(real) - 1, _BLOCK):
        block = slice(start, start + _BLOCK + 1)
        sequence, step, time = real.sequence[block], real.step[block], real.time[block]
        follows = (sequence[1:] == sequence[:-1]) & (step[1:] != step[:-1])
        gaps = np.diff(time)[follows]
        number, total = number + len(gaps), total + int(gaps.sum())
        squares += float(np.square(gaps, dtype=np.float64).sum())
    if not number:
        return 0.0, 0.0
    mean = total / number
    return mean, math.sqrt(max(squares / number - mean**2, 0.0))
