"""How often intervals hold the truth: those of the report, and what else could be done.

    python benchmarks/coverage.py                 # the table of docs/statistics.md
    python benchmarks/coverage.py --trials 200    # a first look

Values are made up with a known mean: ``seed + user + noise``, normal, one for each user and seed. A
case says how the variance of the grand mean divides into these three. Columns:

    nested       percentiles; each seed that is drawn draws users of its own
    percentile   percentiles; users are drawn once for all seeds
    t            Student's t over the means of the seeds
    report       `erase_ray.report.statistics`
    width        of the last, over that of somebody who knows the variances
    edge         claims of equivalence, in percent, when the true difference is the margin (aim: 5)
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from erase_ray.report.statistics.bootstrap import paired_confidence

LEVEL = 0.95
TAILS = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
HITS = 0.02
COLUMNS = ("nested", "percentile", "t", "report")


@dataclass(frozen=True)
class Case:
    """Made-up data: shares of the variance of the grand mean, and sizes."""

    seeds: float
    users: float
    noise: float
    num_seeds: int = 5
    num_users: int = 200

    def values(self, generator: np.random.Generator) -> np.ndarray:
        """Values with mean 0, shape ``(S, U)``."""
        rows, columns = self.num_seeds, self.num_users
        seeds = generator.normal(0, (self.seeds * rows) ** 0.5, (rows, 1))
        users = generator.normal(0, (self.users * columns) ** 0.5, columns)
        noise = generator.normal(0, (self.noise * rows * columns) ** 0.5, (rows, columns))
        return seeds + users + noise

    @property
    def error(self) -> float:
        """Standard error of the grand mean."""
        return (self.seeds + self.users + self.noise) ** 0.5

    def __str__(self) -> str:
        shares = f"{self.seeds:g} : {self.users:g} : {self.noise:g}"
        return f"{shares} | {self.num_seeds} | {self.num_users}"


@dataclass(frozen=True)
class RareHits(Case):
    """Shares near 2 %, with users who differ and seeds that move all of them up or down."""

    def values(self, generator: np.random.Generator) -> np.ndarray:
        """Hits less their mean, shape ``(S, U)``."""
        chances = generator.beta(10 * HITS, 10 * (1 - HITS), self.num_users)
        moves = np.exp(generator.normal(-0.02, 0.2, (self.num_seeds, 1)))
        return (generator.random((self.num_seeds, self.num_users)) < moves * chances) - HITS

    @property
    def error(self) -> float:
        """Not known in closed form."""
        return float("nan")

    def __str__(self) -> str:
        return f"hits of 2 % | {self.num_seeds} | {self.num_users}"


CASES = [
    Case(1, 1, 0),
    Case(0.1, 1, 0),
    Case(10, 1, 0),
    Case(1, 0, 1),
    Case(0.1, 0, 1),
    Case(10, 0, 1),
    Case(1, 1, 1),
    *(Case(10, 1, 0, num_seeds) for num_seeds in (2, 3, 10)),
    *(Case(1, 1, 1, num_seeds) for num_seeds in (2, 3, 10)),
    Case(1, 1, 1, num_users=30),
    RareHits(0, 0, 0),
    RareHits(0, 0, 0, num_users=1000),
]


def main() -> None:
    parser = argparse.ArgumentParser(description="How often intervals hold the truth.")
    parser.add_argument("--trials", type=int, default=1000, help="data sets of a case")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    started = time.perf_counter()
    print("seeds : users : noise | seeds | users |", " | ".join(COLUMNS), "| width | edge")
    study = partial(row, trials=arguments.trials, resamples=arguments.resamples)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for text in pool.map(study, CASES):
            print(text, flush=True)
    print(f"{arguments.trials} data sets a case, {time.perf_counter() - started:.0f} s")


def row(case: Case, trials: int, resamples: int) -> str:
    """Coverage in percent of each kind of interval, width, and false claims of equivalence."""
    results = [trial(case, number, resamples) for number in range(trials)]
    *shares, width, edge = np.mean(results, axis=0)
    covered = [f"{100 * share:.1f}" for share in shares]
    return " | ".join([str(case), *covered, f"{width:.2f}", f"{100 * edge:.1f}"])


def trial(case: Case, number: int, resamples: int) -> np.ndarray:
    """Whether each interval of one data set holds 0; then width and a claim at the edge."""
    generator = np.random.default_rng([number, 2024])
    values_SU = case.values(generator)
    found = paired_confidence(frame(values_SU), resamples, seed=number)
    ours, inner = found.interval(LEVEL), found.interval(1 - 2 * (1 - LEVEL))
    means_S = values_SU.mean(axis=1)
    intervals = [
        np.quantile(nested(values_SU, resamples, generator), TAILS),
        np.quantile(found.draws_R, TAILS),
        stats.t.interval(LEVEL, len(means_S) - 1, means_S.mean(), stats.sem(means_S)),
        (ours.low, ours.high),
    ]
    ideal = 2 * stats.norm.ppf(TAILS[1]) * case.error
    holds = [float(low <= 0 <= high) for low, high in intervals]
    return np.array([*holds, (ours.high - ours.low) / ideal, float(inner.high < 0)])


def frame(values_SU: np.ndarray) -> pd.DataFrame:
    """Rows of seed, user, value and 0."""
    seeds, users = np.indices(values_SU.shape)
    columns = {"seed": seeds.ravel(), "user": users.ravel(), "a": values_SU.ravel()}
    return pd.DataFrame(columns).assign(b=0.0)


def nested(values_SU: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Means of resamples whose seeds draw their users each for itself, shape ``(R,)``."""
    num_seeds, num_users = values_SU.shape
    seeds_RS = generator.integers(0, num_seeds, (resamples, num_seeds))
    users_RSU = generator.integers(0, num_users, (resamples, num_seeds, num_users))
    return values_SU[seeds_RS[:, :, None], users_RSU].mean(axis=(1, 2))


if __name__ == "__main__":
    main()
