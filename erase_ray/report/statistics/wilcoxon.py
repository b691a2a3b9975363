"""Pairs of methods compared over blocks: Wilcoxon's signed-rank test with Holm's correction.

Sources: Wilcoxon: "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945; Pratt:
"Remarks on zeros and ties in the Wilcoxon signed rank procedures", JASA 54, 1959; Holm: "A simple
sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
"""

import math
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from erase_ray.report.statistics.blocks import Better, complete, mean_ranks, too_few

_DIGITS = 12


def pairwise_wilcoxon(scores: pd.DataFrame, better: Better, *, alpha: float = 0.05) -> pd.DataFrame:
    """Test each pair of methods over the blocks that have all methods.

    Five blocks or fewer cannot give a p-value below 0.05, however clear the difference.

    Args:
        scores: One row a block, one column a method; NaN where a cell is missing.
        better: Direction in which the scores improve.
        alpha: Chance of one false claim or more among all pairs.

    Returns:
        One row a pair with the columns ``method_a`` (the better mean rank), ``method_b``,
        ``difference`` (mean of a − b over the blocks, in units of the scores), ``p_value`` (two
        sided), ``p_holm`` (corrected for the number of pairs), ``significant``. In ``attrs`` are
        ``num_blocks``, ``dropped`` (names of the blocks that lack a method) and ``reason`` (why
        the p-values are NaN; empty if they are not).
    """
    kept, dropped = complete(scores)
    names = list(mean_ranks(kept, better).index)
    columns = {name: column.to_numpy(float) for name, column in kept.items()}
    rows = [(a, b, *_compare(columns[a], columns[b])) for a, b in combinations(names, 2)]
    table = pd.DataFrame(rows, columns=["method_a", "method_b", "difference", "p_value"])
    table["p_holm"] = holm(table["p_value"].to_numpy(float))
    table["significant"] = table["p_holm"] <= alpha
    table.attrs = {
        "num_blocks": len(kept),
        "dropped": dropped,
        "reason": too_few(scores, kept, needed=1),
    }
    return table


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values corrected for their number, in the same order; NaN stays and does not count."""
    from statsmodels.stats.multitest import multipletests  # takes half a second to import

    known = ~np.isnan(p_values)
    corrected = np.full(len(p_values), math.nan)
    if known.any():
        corrected[known] = multipletests(p_values[known], method="holm")[1]
    return corrected


def signed_rank(difference: np.ndarray) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test.

    Zeros are ranked with the rest and then left out (Pratt), equal sizes share ranks, and the
    p-value is exact for any number of zeros and ties: of all ways to sign the ranks, the share
    that is as uneven or more so. It is NaN for no differences at all, and 1 for zeros alone.
    """
    if not len(difference):
        return math.nan
    if not difference.any():
        return 1.0
    twice = np.rint(2 * stats.rankdata(np.abs(difference))).astype(int)
    above, below = twice[difference > 0], twice[difference < 0]
    chances = _null_distribution(np.concatenate([above, below]))
    smaller = min(above.sum(), below.sum())
    return min(1.0, 2 * float(chances[: smaller + 1].sum()))


def _compare(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean difference and p-value; differences that only rounding tells apart are ties."""
    if not len(a):
        return math.nan, math.nan
    difference = a - b
    size = np.abs([a, b]).max()
    rounded = np.round(difference / size, _DIGITS) if size > 0 else difference
    return float(difference.mean()), signed_rank(rounded)


def _null_distribution(ranks: np.ndarray) -> np.ndarray:
    """Chance of each sum of ``ranks`` (whole numbers) when a coin decides which count."""
    chances = np.zeros(ranks.sum() + 1)
    chances[0] = 1.0
    for rank in ranks:
        moved = np.concatenate([np.zeros(rank), chances[: len(chances) - rank]])
        chances = (chances + moved) / 2
    return chances
