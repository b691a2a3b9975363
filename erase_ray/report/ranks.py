"""Mean ranks of methods over all combinations of a task."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from erase_ray.experiment.results import ORIGINAL
from erase_ray.report.panels import RETRAIN
from erase_ray.report.picking import pick
from erase_ray.report.statistics import (
    CriticalDifference,
    critical_difference,
    pairwise_wilcoxon,
)

UTILITY_SCORE, FORGETTING_SCORE = "utility kept", "distance from the retrained model in forgetting"
FRAME = (
    "task",
    "score",
    "method_a",
    "method_b",
    "mean_rank_a",
    "mean_rank_b",
    "difference",
    "p_value",
    "p_holm",
    "significant",
    "friedman_p",
    "num_blocks",
)


@dataclass(frozen=True, eq=False)
class Ranking:
    """How the methods of a task rank.

    Args:
        task: Name of the task.
        score: What they are ranked by.
        result: Mean ranks, groups and Friedman's test.
        pairs: Wilcoxon's test of each pair with Holm's correction.
        dropped: Blocks that lack a method and so do not count, by name.
    """

    task: str
    score: str
    result: CriticalDifference
    pairs: pd.DataFrame
    dropped: Sequence[str]


def rankings(board: pd.DataFrame, alpha: float) -> list[Ranking]:
    """Two rankings a task: by utility kept, and by closeness to the retrained model.

    A block is a combination of dataset, model and scenario; one that lacks a number of any method
    does not count.
    """
    judged = pick(board, ~board["method"].isin([ORIGINAL, RETRAIN]))
    kept = judged.assign(
        utility=judged["utility_kept"],
        forgetting=np.abs(judged["forgetting_difference"].to_numpy(float)),
    )
    found = []
    for task, rows in kept.groupby("task", sort=True):
        for column, score, better in (
            ("utility", UTILITY_SCORE, "up"),
            ("forgetting", FORGETTING_SCORE, "down"),
        ):
            scores = rows.pivot_table(
                index="combination", columns="method", values=column, dropna=False, observed=False
            ).astype(float)
            scores = scores.dropna(how="all", axis=0)
            if scores.shape[0] and scores.shape[1] > 1:
                found.append(_ranking(str(task), score, scores, better, alpha))
    return found


def _ranking(task: str, score: str, scores: pd.DataFrame, better, alpha: float) -> Ranking:
    scores.columns = [str(name) for name in scores.columns]
    result = critical_difference(scores, better, alpha=alpha)
    pairs = pairwise_wilcoxon(scores, better, alpha=alpha)
    return Ranking(task, score, result, pairs, result.friedman.dropped)


def ranks_frame(found: Sequence[Ranking]) -> pd.DataFrame:
    """All pairs of all rankings; columns ``FRAME``."""
    frames = [
        one.pairs.assign(
            task=one.task,
            score=one.score,
            mean_rank_a=_ranks_of(one, "method_a"),
            mean_rank_b=_ranks_of(one, "method_b"),
            friedman_p=one.result.friedman.p_value,
            num_blocks=one.result.friedman.num_blocks,
        ).reindex(columns=list(FRAME))
        for one in found
        if len(one.pairs)
    ]
    stacked = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return pd.DataFrame(stacked.reindex(columns=list(FRAME)))


def _ranks_of(ranking: Ranking, column: str) -> list[float]:
    ranks = dict(ranking.result.mean_ranks.items())
    return [ranks[name] for name in ranking.pairs[column].tolist()]
