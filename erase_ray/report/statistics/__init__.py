"""Intervals, equivalence tests and rankings of the numbers in the report."""

from erase_ray.report.statistics.bootstrap import closed_gap, means, paired_means
from erase_ray.report.statistics.equivalence import Equivalence, Verdict, tost, verdict
from erase_ray.report.statistics.interval import Interval
from erase_ray.report.statistics.ranking import (
    CriticalDifference,
    Friedman,
    critical_difference,
    friedman,
    pairwise_wilcoxon,
)

__all__ = [
    "CriticalDifference",
    "Equivalence",
    "Friedman",
    "Interval",
    "Verdict",
    "closed_gap",
    "critical_difference",
    "friedman",
    "means",
    "paired_means",
    "pairwise_wilcoxon",
    "tost",
    "verdict",
]
