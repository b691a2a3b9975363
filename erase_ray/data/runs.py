"""Runs of equal rows: where they begin and how long they are."""

import numpy as np


def begins(*columns: np.ndarray) -> np.ndarray:
    """True where a run of equal values begins, shape ``(R,)``; the columns count together."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return changed


def run_starts(*columns: np.ndarray) -> np.ndarray:
    """Positions at which a run of equal values begins, int64; the columns count together."""
    return np.flatnonzero(begins(*columns))


def run_sizes(starts: np.ndarray, total: int) -> np.ndarray:
    """Lengths of the runs that begin at ``starts``, the last one ending at ``total``."""
    return np.diff(np.append(starts, total))
