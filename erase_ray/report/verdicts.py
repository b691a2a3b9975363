"""How each method compares with retraining: differences, intervals and verdicts."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from erase_ray.report.options import FORGETTING, UTILITY, Options
from erase_ray.report.panels import REFERENCES, RETRAIN, Panel
from erase_ray.report.people import Pairs
from erase_ray.report.statistics import (
    Equivalence,
    Interval,
    Verdict,
    closed_gap,
    tost,
    verdict,
)

Better = Literal["up", "down"]
MIN_SEEDS = 2
"""With fewer seeds nothing is known of how much training runs differ, and no verdict is given."""

SHARES = (0.0, 1.0)
"""Range of the metrics that are judged."""
TOO_WIDE = "interval too wide to tell"

ALL_ALIKE = "the same difference in all seeds, which says nothing of their spread"

SeedValues = dict[tuple[str, str, int], dict[int, float]]
"""Values of the last mark by series, metric and cut-off, and then by seed."""


@dataclass(frozen=True)
class Judgement:
    """A method against retraining in one metric.

    Args:
        verdict: In words.
        reason: Why it is unknown, or what it does not rest on; may be empty.
        test: None where nothing can be compared.
    """

    verdict: Verdict = "unknown"
    reason: str = ""
    test: Equivalence | None = None

    @property
    def difference(self) -> Interval | None:
        """Method minus retrained, at the level of the report."""
        return self.test.two_sided if self.test else None


@dataclass(frozen=True)
class Comparison:
    """All that is known of one method against retraining.

    Args:
        utility: By ``UTILITY``.
        forgetting: By ``FORGETTING``.
        closed: Share of the gap from original to retrained; None where it was not looked for.
    """

    utility: Judgement
    forgetting: Judgement
    closed: Interval | None = None


def compare(
    panel: Panel,
    by_seed: SeedValues,
    pairs: dict[str, dict[str, Pairs]] | None,
    options: Options,
) -> dict[str, Comparison]:
    """The comparison of each series but the references, by name.

    Args:
        panel: What belongs together.
        by_seed: The stored values of the panel.
        pairs: Values of persons; None to rest on seeds alone.
        options: Margins, level and resamples.
    """
    retrain = next((s.name for s in panel.series if s.method == RETRAIN), RETRAIN)
    return {
        series.name: _compared(
            series.name, retrain, by_seed, (pairs or {}).get(series.name), options
        )
        for series in panel.series
        if series.method not in REFERENCES
    }


def _compared(
    name: str,
    retrain: str,
    by_seed: SeedValues,
    pairs: dict[str, Pairs] | None,
    options: Options,
) -> Comparison:
    if not options.intervals:
        off = Judgement(reason="intervals were not asked for")
        return Comparison(off, off)
    margins = {"test": math.nan, "probe": options.forgetting_margin}
    found: dict[str, Judgement] = {}
    for asks, metric in (("test", UTILITY), ("probe", FORGETTING)):
        seeds = _common(by_seed, (name, *metric), (retrain, *metric))
        if asks == "test":
            total = float(seeds["b"].to_numpy(float).sum())
            margins[asks] = options.margin * abs(total) / max(len(seeds), 1)
        own = pairs[asks] if pairs else None
        found[asks] = _judge(own, seeds, margins[asks], _BETTER[asks], options)
    return Comparison(found["test"], found["probe"], _closed(pairs, options))


_BETTER: dict[str, Better] = {"test": "up", "probe": "down"}


def _judge(
    pairs: Pairs | None, seeds: pd.DataFrame, margin: float, better: Better, options: Options
) -> Judgement:
    if not len(seeds):
        return Judgement(reason=_lacking(pairs))
    if not margin > 0:
        return Judgement(reason="the retrained model's value is 0, so there is no margin")
    if pairs is not None and len(pairs.values):
        test = tost(
            pairs.values, margin, alpha=options.alpha, resamples=options.resamples, bounds=SHARES
        )
        few = test.difference.num_seeds < MIN_SEEDS
    else:
        test, few = over_seeds(seeds, margin, options.alpha), len(seeds) < MIN_SEEDS
    found = verdict(test, better, min_seeds=1) if not few else "unknown"
    return Judgement(found, _why(test, few, pairs, found), test)


def over_seeds(values: pd.DataFrame, margin: float, alpha: float) -> Equivalence:
    """Two one-sided t-tests of the paired differences of seeds.

    Args:
        values: Columns ``seed``, ``a``, ``b``; one row a seed.
        margin: Absolute, above 0.
        alpha: Of each one-sided test.
    """
    difference = (values["a"] - values["b"]).to_numpy(float)
    count, mean = len(difference), float(difference.mean())
    spread = float(difference.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan

    reason = "" if spread > 0 else "one seed only" if count < 2 else ALL_ALIKE

    def interval(level: float) -> Interval:
        half = math.nan if reason else spread * float(stats.t.ppf((1 + level) / 2, count - 1))
        return Interval(mean, mean - half, mean + half, level, 0, count, 0, reason)

    inner = interval(1 - 2 * alpha)
    p_value = math.nan
    if not reason:
        ts = np.array([mean - margin, -mean - margin]) / spread
        p_value = float(stats.t.cdf(ts, count - 1).max())
    return Equivalence(p_value, inner, margin, inner.is_within(margin), interval(1 - alpha))


def _common(by_seed: SeedValues, one: tuple[str, str, int], other: tuple[str, str, int]):
    a, b = by_seed.get(one, {}), by_seed.get(other, {})
    rows = [(seed, a[seed], b[seed]) for seed in sorted(a.keys() & b.keys())]
    return pd.DataFrame(rows, columns=["seed", "a", "b"]).dropna()


def _lacking(pairs: Pairs | None) -> str:
    reason = "method and retrained model have no value with the same seed"
    return f"{reason}; {pairs.reason}" if pairs and pairs.reason else reason


def _why(test: Equivalence, few: bool, pairs: Pairs | None, found: Verdict) -> str:
    """What a verdict does not rest on, or why there is none."""
    if few:
        return f"{test.difference.num_seeds} seed; at least {MIN_SEEDS} are needed"
    basis = pairs.reason if pairs else ""
    if pairs is None or not len(pairs.values):
        basis = "over seeds alone" + (f": {basis}" if basis else "")
    if found != "unknown":
        return basis
    return "; ".join(filter(None, [test.difference.reason or TOO_WIDE, basis]))


def _closed(pairs: dict[str, Pairs] | None, options: Options) -> Interval | None:
    values = pairs["probe"].values if pairs else pd.DataFrame()
    if not len(values) or not values["original"].notna().to_numpy().any():
        return None
    named = values.rename(columns={"a": "method", "b": "retrained"})
    return closed_gap(named, level=options.level, resamples=options.resamples)
