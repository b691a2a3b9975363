"""How alike two ranked lists are."""

import numpy as np


def rank_biased_overlap(one_QK: np.ndarray, other_QK: np.ndarray, p: float) -> np.ndarray:
    """Extrapolated rank-biased overlap (RBO_EXT) of each pair of lists, float64, shape ``(Q,)``.

    Webber, Moffat, Zobel, "A similarity measure for indefinite rankings", ACM TOIS 2010,
    equation 32: the agreement of the lists up to each depth, weighted by how likely somebody goes
    on to there who turns to the next item with probability ``p``; the agreement that was last seen
    is taken to go on for ever. From 0 (nothing in common) to 1 (the same list).

    Args:
        one_QK: Ids of the items of each list, best first, without repeats; -1 behind the last.
        other_QK: The same, as wide; the lists of a pair may have different lengths.
        p: Persistence, above 0 and below 1.

    Returns:
        NaN where both lists are empty, 0 where one is.
    """
    depth_K = np.arange(1, one_QK.shape[1] + 1)
    shared_QK = _shared(one_QK, other_QK)
    lengths = np.stack([(lists >= 0).sum(axis=1) for lists in (one_QK, other_QK)])
    short_Q1, long_Q1 = (np.sort(lengths, axis=0)[row][:, None] for row in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        seen_QK = np.where(depth_K <= long_Q1, shared_QK / depth_K, 0.0)
        at_short_Q1 = _at(shared_QK, short_Q1)
        rest_QK = at_short_Q1 * (depth_K - short_Q1) / (depth_K * short_Q1)
        rest_QK = np.where((depth_K > short_Q1) & (depth_K <= long_Q1), rest_QK, 0.0)
        last_Q1 = (_at(shared_QK, long_Q1) - at_short_Q1) / long_Q1 + at_short_Q1 / short_Q1
        overlap_QK = (1 - p) / p * (seen_QK + rest_QK) * p**depth_K
        overlap_Q = overlap_QK.sum(axis=1) + (last_Q1 * p**long_Q1)[:, 0]
    overlap_Q[lengths.min(axis=0) == 0] = 0.0
    overlap_Q[lengths.max(axis=0) == 0] = np.nan
    return overlap_Q


def _shared(one_QK: np.ndarray, other_QK: np.ndarray) -> np.ndarray:
    """How many items the lists share down to each depth, shape ``(Q, K)``."""
    same_QKK = (one_QK[:, :, None] == other_QK[:, None, :]) & (one_QK[:, :, None] >= 0)
    return same_QKK.cumsum(axis=1).cumsum(axis=2).diagonal(axis1=1, axis2=2)


def _at(shared_QK: np.ndarray, depth_Q1: np.ndarray) -> np.ndarray:
    return np.take_along_axis(shared_QK, np.maximum(depth_Q1 - 1, 0), axis=1)
