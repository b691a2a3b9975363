"""What requests cost and how far they moved a model, one after the other."""

import numpy as np
import pandas as pd

from erase_ray.report.by_mark import IDENTITY
from erase_ray.report.picking import pick
from erase_ray.report.rows import PLACE

MOST_POINTS = 200
"""Points that are kept of a curve."""
COLUMNS = (*IDENTITY, "request", "step_norm", "seconds", "cumulative_seconds", "num_seeds")


def request_curves(requests: pd.DataFrame, identity: pd.DataFrame) -> pd.DataFrame:
    """One row a series and request: medians over seeds, thinned evenly.

    Args:
        requests: From :func:`rows.request_rows`.
        identity: From :func:`by_mark.identity_frame`.

    Returns:
        ``IDENTITY``, ``request`` (from 1 on), ``step_norm`` (NaN where nothing was applied),
        ``seconds`` (data and algorithm), ``cumulative_seconds`` and ``num_seeds``.
    """
    if requests.empty:
        return pd.DataFrame(columns=list(COLUMNS)).astype({"request": int, "seconds": float})
    seconds = requests["seconds_data"].astype(float) + requests["seconds_algorithm"].astype(float)
    known = requests.assign(seconds=seconds).sort_values([*PLACE, "seed", "request"])
    known["cumulative_seconds"] = known.groupby([*PLACE, "seed"], sort=False)["seconds"].cumsum()
    applied = known["status"] == "applied"
    known["step_norm"] = known["step_norm"].astype(float).where(applied)
    grouped = known.groupby([*PLACE, "request"], sort=True)
    found = grouped[["step_norm", "seconds", "cumulative_seconds"]].median()
    found["num_seeds"] = grouped["seed"].nunique()
    found = found.reset_index()
    thin = found.groupby(PLACE, sort=False, group_keys=False)["request"].transform(_kept)
    found = pick(found, thin.to_numpy(bool)).assign(request=lambda frame: frame["request"] + 1)
    return identity.merge(found, on=PLACE, how="inner").reindex(columns=list(COLUMNS))


def _kept(requests: pd.Series) -> np.ndarray:
    """True for at most ``MOST_POINTS`` of them, first and last included."""
    count = len(requests)
    places = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
    keep = np.zeros(count, bool)
    keep[places] = True
    return keep
