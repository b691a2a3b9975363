"""Intervals hold the truth about as often as they say; benchmarks/coverage.py is the study."""

import numpy as np
import pytest
from scipy import stats
from statistics_data import crossed, table

from erase_ray.report.statistics.bootstrap import means

TRIALS = 300


@pytest.mark.parametrize(
    ("errors", "lowest", "highest"),
    [
        ((1.0, 1.0, 0.0), 0.95, 0.95),
        ((0.2, 1.0, 0.0), 0.95, 0.95),
        ((3.0, 1.0, 0.0), 0.95, 0.95),
        ((0.2, 0.0, 1.0), 0.95, 1.0),
        ((1.0, 1.0, 1.0), 0.95, 1.0),
    ],
    ids=["seeds like users", "users", "seeds", "noise", "all three"],
)
def test_coverage_of_five_seeds(errors, lowest, highest):
    """Between the binomial bounds (99.9 %) of coverages from ``lowest`` to ``highest``."""
    generator, hits = np.random.default_rng(17), 0
    for trial in range(TRIALS):
        result = means(table(a=crossed(generator, (5, 80), *errors)), resamples=200, seed=trial)
        hits += result.low <= 0 <= result.high
    assert (
        stats.binom.ppf(0.0005, TRIALS, lowest) <= hits <= stats.binom.ppf(0.9995, TRIALS, highest)
    )


def test_coverage_of_one_seed_is_over_users():
    generator, hits = np.random.default_rng(17), 0
    for trial in range(TRIALS):
        result = means(table(a=generator.normal(size=(1, 60))), resamples=200, seed=trial)
        hits += result.low <= 0 <= result.high
    assert hits >= stats.binom.ppf(0.0005, TRIALS, 0.95)
