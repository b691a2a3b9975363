"""The three questions of the benchmark, answered from the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from erase_ray.report.families import APPROXIMATE, BASELINE
from erase_ray.report.measured import LAST
from erase_ray.report.options import UTILITY, Options
from erase_ray.report.panels import RETRAIN
from erase_ray.report.picking import pick, records
from erase_ray.report.repeats import compared_slopes, slopes_by_family
from erase_ray.report.spreads import compared_spreads
from erase_ray.report.units import Number, by_combination, direction, mean_interval, of_families

FRAME = {
    "question": "string",
    "what": "string",
    "method_family": "string",
    "model_family": "string",
    "estimate": "float64",
    "low": "float64",
    "high": "float64",
    "unit": "string",
    "num_combinations": "Int64",
    "reason": "string",
}

QUESTIONS = {
    "a": "Can approximate unlearning match retraining?",
    "b": "Do repeated requests hurt general-purpose methods more, above all on attention and "
    "recurrent models?",
    "c": "Are recommender-specific methods steadier?",
}
VERDICTS = ("equivalent to retraining", "better", "worse", "unknown")
GOOD = VERDICTS[:2]


@dataclass(frozen=True)
class Answer:
    """What can be said to a question.

    Args:
        question: ``a``, ``b`` or ``c``.
        verdict: A few words that begin with ``yes``, ``no``, ``partly``, ``not shown`` or
            ``unknown``.
        text: Sentences with the numbers behind it.
    """

    question: str
    verdict: str
    text: str


@dataclass(frozen=True, eq=False)
class Findings:
    """The answers, and the numbers behind them (columns ``FRAME``)."""

    answers: Sequence[Answer]
    frame: pd.DataFrame


def find(board: pd.DataFrame, values: pd.DataFrame, options: Options) -> Findings:
    """Answer the questions.

    Args:
        board: The leaderboard.
        values: One stored number a row with the identity of its series.
        options: Level and resamples.
    """
    relative = relative_differences(values)
    answers, numbers = [], []
    for answer, behind in (
        matching(board, relative, options),
        repeating(relative, options),
        steadiness(relative, options),
    ):
        answers.append(answer)
        numbers += behind
    frame = pd.DataFrame([_row(number) for number in numbers], columns=list(FRAME))
    return Findings(answers, frame.astype(FRAME))


def relative_differences(values: pd.DataFrame) -> pd.DataFrame:
    """Utility above or below the retrained model with the same seed and mark, in percent of it.

    Only approximate methods on trained models; the column is ``off``.
    """
    metric, k = UTILITY
    own = pick(values, (values["metric"] == metric) & (values["k"] == k))
    same = ["panel", "seed", "mark"]
    is_retrain = own["series"].astype(str).str.fullmatch(rf"{RETRAIN}(-\d+)?")
    retrained = pick(own, is_retrain).drop_duplicates(same)[[*same, "value"]]
    judged = pick(own, own["family"].isin(list(APPROXIMATE)) & (own["model_family"] != BASELINE))
    both = judged.merge(retrained, on=same, suffixes=("", "_retrained"))
    both = pick(both, both["value_retrained"] > 0)
    off = 100 * (both["value"] / both["value_retrained"] - 1)
    return both.assign(off=off).dropna(subset=["off"])


def matching(
    board: pd.DataFrame, relative: pd.DataFrame, options: Options
) -> tuple[Answer, list[Number]]:
    """Question (a)."""
    judged = records(of_families(board, APPROXIMATE))
    last = pick(relative, relative["mark"] == LAST)
    pooled = Number(
        "a",
        "utility after all requests, relative to retraining",
        mean_interval(by_combination(last, "off"), options),
        "%",
    )
    text = (
        f"{len(judged)} pairs of an approximate method and a combination of dataset, model and "
        f"scenario. Utility: {_counted(judged, 'utility')}. Forgetting: "
        f"{_counted(judged, 'forgetting')}. "
        + pooled.sentence("Utility above or below the retrained model's, pooled over combinations")
    )
    return Answer("a", _matching_verdict(judged), text), [pooled]


def _matching_verdict(judged: Sequence[dict]) -> str:
    pairs = [(_verdict(row, "utility"), _verdict(row, "forgetting")) for row in judged]
    known = [pair for pair in pairs if "unknown" not in pair]
    if not known:
        return "unknown"
    good = sum(all(verdict in GOOD for verdict in pair) for pair in known)
    word = "yes" if good == len(known) else "partly" if good else "no"
    rest = len(pairs) - len(known)
    left = f"; {rest} of {len(pairs)} are unknown" if rest else ""
    return f"{word}, in {good} of the {len(known)} pairs that are known{left}"


def _verdict(row: dict, name: str) -> str:
    found = row[f"{name}_verdict"]
    return found if isinstance(found, str) else "unknown"


def _counted(judged: Sequence[dict], name: str) -> str:
    found = [_verdict(row, name) for row in judged]
    return ", ".join(f"{found.count(verdict)} {verdict}" for verdict in VERDICTS)


def repeating(relative: pd.DataFrame, options: Options) -> tuple[Answer, list[Number]]:
    """Question (b)."""
    methods, models = compared_slopes(relative, options)
    text = " ".join(
        [
            methods.sentence("General-purpose methods against recommender-specific ones"),
            models.sentence(
                "General-purpose methods on attention and recurrent models against others"
            ),
            "Below 0 means that their utility, relative to retraining, falls faster as requests "
            "are served.",
        ]
    )
    behind = [methods, models, *slopes_by_family(relative, options)]
    return Answer("b", direction([methods, models]), text), behind


def steadiness(relative: pd.DataFrame, options: Options) -> tuple[Answer, list[Number]]:
    """Question (c)."""
    numbers = compared_spreads(relative, options)
    sentences = [n.sentence(n.what.partition(",")[0].capitalize()) for n in numbers]
    text = (
        f"{' '.join(sentences)} Each is recommender-specific minus general-purpose methods, in "
        "percent of the retrained model's utility; below 0 means steadier."
    )
    return Answer("c", direction(numbers), text), numbers


def _row(number: Number) -> dict:
    interval = number.interval
    return {
        "question": number.question,
        "what": number.what,
        "method_family": number.method_family,
        "model_family": number.model_family,
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "unit": number.unit,
        "num_combinations": interval.num_users,
        "reason": interval.reason,
    }
