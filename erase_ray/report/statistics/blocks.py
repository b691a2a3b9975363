"""Tables of scores, one row a block (such as dataset × model) and one column a method."""

from typing import Literal

import numpy as np
import pandas as pd

Better = Literal["up", "down"]


def complete(scores: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The blocks that have a finite score of every method, and the names of those that have not.

    Nothing is ever filled in: a guessed score would take part in the ranking like a measured one.
    """
    whole: np.ndarray = np.all(np.isfinite(scores.to_numpy(float)), axis=1)
    kept = pd.DataFrame(scores.loc[whole], dtype=float)
    return kept, [_name(label) for label in scores.index[~whole]]


def mean_ranks(kept: pd.DataFrame, better: Better) -> pd.Series:
    """Mean rank of each method, 1 is best, best first; methods with equal scores share ranks."""
    ranks = kept.rank(axis=1, ascending=better == "down")
    return pd.Series(ranks.mean(), dtype=float).sort_values(kind="stable")


def too_few(scores: pd.DataFrame, kept: pd.DataFrame, needed: int) -> str:
    """Why ``kept`` cannot be tested; empty if there are ``needed`` blocks."""
    if len(kept) >= needed:
        return ""
    nowhere = [str(name) for name, column in scores.items() if column.isna().all()]
    culprits = f"; no block has {', '.join(nowhere)}" if nowhere and len(scores) else ""
    return f"{len(kept)} of {len(scores)} blocks have all methods, {needed} are needed{culprits}"


def _name(label: object) -> str:
    return " / ".join(map(str, label)) if isinstance(label, tuple) else str(label)
