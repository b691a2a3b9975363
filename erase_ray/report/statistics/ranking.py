"""Several methods compared over several blocks (such as dataset × model) by their ranks.

Source: Demšar: "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from erase_ray.report.statistics.blocks import Better, complete, mean_ranks, too_few
from erase_ray.report.statistics.wilcoxon import pairwise_wilcoxon

__all__ = [
    "CriticalDifference",
    "Friedman",
    "critical_difference",
    "friedman",
    "pairwise_wilcoxon",
]


@dataclass(frozen=True)
class Friedman:
    """Friedman's test: do the ranks of the methods differ at all?

    Args:
        statistic: Chi-square with one degree of freedom less than methods, corrected for ties.
        p_value: Chance of such a statistic if all methods are alike; NaN if there is none.
        mean_ranks: Mean rank of each method, 1 is best, best first.
        num_blocks: Blocks that have all methods; only these are ranked.
        dropped: Names of the blocks that lack a method.
        reason: Why the statistic is NaN; empty if it is not.
    """

    statistic: float
    p_value: float
    mean_ranks: pd.Series
    num_blocks: int
    dropped: list[str]
    reason: str = ""

    @property
    def iman_davenport(self) -> tuple[float, float]:
        """The F statistic of Iman and Davenport (1980) and its p-value.

        Sharper than chi-square, but too sure of itself with a handful of blocks: with full
        agreement it is infinite, be it of two blocks.
        """
        freedom, blocks = len(self.mean_ranks) - 1, self.num_blocks
        rest = blocks * freedom - self.statistic
        if math.isnan(rest):
            return math.nan, math.nan
        if rest <= 0:
            return math.inf, 0.0
        ratio = (blocks - 1) * self.statistic / rest
        return ratio, float(stats.f.sf(ratio, freedom, freedom * (blocks - 1)))


@dataclass(frozen=True)
class CriticalDifference:
    """Nemenyi's test: how far mean ranks must lie apart.

    Args:
        distance: Methods whose mean ranks are at least this far apart differ significantly.
        mean_ranks: Mean rank of each method, 1 is best, best first.
        groups: Largest sets of two or more methods among which no difference is significant, best
            first. A method in no group differs from all others.
        friedman: The test of all methods at once. If it finds nothing, all are in one group.
        alpha: Level of both tests.
    """

    distance: float
    mean_ranks: pd.Series
    groups: list[list[str]]
    friedman: Friedman
    alpha: float = 0.05


def friedman(scores: pd.DataFrame, better: Better) -> Friedman:
    """Friedman's rank test over the blocks that have all methods.

    Chi-square is an approximation for ten blocks or more; with fewer it is too cautious.

    Args:
        scores: One row a block, one column a method (three or more); NaN where a cell is missing.
        better: Direction in which the scores improve.
    """
    kept, dropped = complete(scores)
    ranks = mean_ranks(kept, better)
    num_methods = scores.shape[1]
    reason = too_few(scores, kept, needed=2)
    if num_methods < 3:
        reason = f"{num_methods} methods; Friedman's test compares three or more"
    if reason:
        return Friedman(math.nan, math.nan, ranks, len(kept), dropped, reason)
    if ranks.nunique() == 1:
        return Friedman(0.0, 1.0, ranks, len(kept), dropped)
    statistic, p_value = stats.friedmanchisquare(*kept.to_numpy(float).T)
    return Friedman(float(statistic), float(p_value), ranks, len(kept), dropped)


def critical_difference(
    scores: pd.DataFrame, better: Better, *, alpha: float = 0.05
) -> CriticalDifference:
    """Nemenyi's critical difference of mean ranks, and the groups that it leaves undecided.

    Args:
        scores: One row a block, one column a method; NaN where a cell is missing.
        better: Direction in which the scores improve.
        alpha: Chance of one false claim or more among all pairs.
    """
    test = friedman(scores, better)
    ranks, count, blocks = test.mean_ranks, len(test.mean_ranks), test.num_blocks
    if count < 2 or blocks < 1:
        return CriticalDifference(math.nan, ranks, [], test, alpha)
    quantile = stats.studentized_range.ppf(1 - alpha, count, np.inf) / math.sqrt(2)
    distance = float(quantile * math.sqrt(count * (count + 1) / (6 * blocks)))
    if test.p_value > alpha:
        return CriticalDifference(distance, ranks, [list(ranks.index)], test, alpha)
    return CriticalDifference(distance, ranks, _groups(ranks, distance), test, alpha)


def _groups(ranks: pd.Series, distance: float) -> list[list[str]]:
    """Runs of neighbours that span less than ``distance`` and are in no longer run."""
    names, places = list(ranks.index), ranks.to_numpy()
    groups, reached = [], 0
    for start in range(len(names)):
        end = int(np.searchsorted(places, places[start] + distance, side="left"))
        if end > reached and end - start > 1:
            groups.append(names[start:end])
        reached = max(reached, end)
    return groups
