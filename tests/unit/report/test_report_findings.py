import pandas as pd
import pytest

from erase_ray.report.findings import QUESTIONS, find, relative_differences
from erase_ray.report.leaderboard import COLUMNS
from erase_ray.report.options import Options
from erase_ray.report.repeats import slopes

OPTIONS = Options(resamples=300)
MODELS = {"bpr": "factorisation", "gru4rec": "recurrent", "sasrec": "attention"}


def values(losses: dict[str, float], panels: int = 4, seeds: int = 2) -> pd.DataFrame:
    """NDCG that falls by ``losses`` (share of the retrained one) a mark, on ``panels`` panels."""
    rows = []
    for panel in range(panels):
        model = list(MODELS)[panel % len(MODELS)]
        for seed in range(seeds):
            for mark in (1, 2, 3, 4):
                level = 0.5 + 0.01 * panel
                both = {"panel": f"p{panel}", "model_family": MODELS[model], "seed": seed}
                both |= {"mark": mark, "metric": "ndcg", "k": 20, "dataset": f"d{panel % 3}"}
                rows.append(both | {"series": "retrain", "family": "exact", "value": level})
                for name, family in (
                    ("scif", "recommender-specific"),
                    ("seif", "general-purpose"),
                    ("finetune", "reference"),
                ):
                    noise = 0.0001 * ((panel + seed + mark) % 3)
                    loss = losses.get(name, 0.0) * (1 + 0.02 * panel)
                    value = level * (1 - loss * mark + noise)
                    rows.append(both | {"series": name, "family": family, "value": value})
    return pd.DataFrame(rows)


def board(verdicts: list[tuple[str, str]]) -> pd.DataFrame:
    rows = [
        {"family": "general-purpose", "utility_verdict": u, "forgetting_verdict": f}
        for u, f in verdicts
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def answer(found, question: str):
    return next(one for one in found.answers if one.question == question)


def test_differences_are_relative_and_leave_references_out():
    frame = relative_differences(values({"scif": 0.01}))
    assert set(frame["series"]) == {"scif", "seif"}
    last = frame[(frame["series"] == "scif") & (frame["mark"] == 4)]
    expected = [-4.0 * (1 + 0.02 * panel) for panel in range(4) for _ in range(2)]
    assert last["off"].tolist() == pytest.approx(expected, abs=0.03)


def test_a_slope_is_that_of_the_line():
    frame = values({"scif": 0.01}, panels=1, seeds=1)
    frame.loc[frame["series"] == "scif", "value"] = [0.5 * v for v in (1.0, 0.98, 0.96, 0.94)]
    found = slopes(relative_differences(frame)).set_index("series")["slope"]
    assert found["scif"] == pytest.approx(-2.0)


def test_a_series_without_all_marks_has_no_slope():
    frame = values({}, panels=1, seeds=1)
    frame = frame[~((frame["series"] == "scif") & (frame["mark"] == 2))]
    assert set(slopes(relative_differences(frame))["series"]) == {"seif"}


def test_methods_that_fall_faster_are_found():
    found = find(board([]), values({"seif": 0.02}), OPTIONS)
    text = answer(found, "b").text
    assert "General-purpose methods against recommender-specific ones: -2." in text
    assert "an interval that excludes 0" in text
    row = found.frame[found.frame["what"].str.startswith("slope of general-purpose methods minus")]
    assert row["high"].item() < 0
    assert row["num_combinations"].item() == 4


def test_the_reverse_is_told_as_such():
    found = find(board([]), values({"scif": 0.02}), OPTIONS)
    assert answer(found, "b").verdict.startswith(("no, the reverse", "partly: the reverse"))
    assert answer(found, "c").verdict.startswith(("no, the reverse", "partly: the reverse"))


def test_steadier_methods_are_found():
    found = find(board([]), values({"seif": 0.02}), OPTIONS)
    assert answer(found, "c").verdict.startswith(("yes", "partly: yes"))
    assert "Spread over marks: -2." in answer(found, "c").text


def test_too_few_combinations_are_unknown_with_the_reason():
    found = find(board([]), values({"seif": 0.5}, panels=2), OPTIONS)
    for question in ("b", "c"):
        assert answer(found, question).verdict == "unknown"
        assert "unknown, as 2 combinations can be compared, 3 are needed" in (
            answer(found, question).text
        )


def test_without_numbers_all_is_unknown():
    found = find(board([]), values({}).head(0), OPTIONS)
    assert [one.verdict for one in found.answers] == ["unknown"] * 3
    assert [one.question for one in found.answers] == list(QUESTIONS)


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ([("better", "equivalent to retraining")] * 2, "yes, in 2 of the 2 pairs that are known"),
        ([("worse", "better")], "no, in 0 of the 1 pairs that are known"),
        (
            [("better", "better"), ("worse", "worse"), ("unknown", "better")],
            "partly, in 1 of the 2 pairs that are known; 1 of 3 are unknown",
        ),
        ([("unknown", "better"), (None, None)], "unknown"),
    ],
)
def test_matching_counts_pairs(verdicts, text):
    assert answer(find(board(verdicts), values({}), OPTIONS), "a").verdict == text


def test_verdicts_are_counted():
    text = answer(
        find(board([("worse", "better"), (None, "worse")]), values({}), OPTIONS), "a"
    ).text
    assert "Utility: 0 equivalent to retraining, 0 better, 1 worse, 1 unknown." in text
    assert "Forgetting: 0 equivalent to retraining, 1 better, 1 worse, 0 unknown." in text
