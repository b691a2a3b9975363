import math

import pandas as pd
import pytest
from fake_report_store import FakeStore, add_small
from report_toys import add_answers, evidence_of, row_of

from erase_ray.report.leaderboard import COLUMNS
from erase_ray.report.options import Options
from erase_ray.report.verdicts import TOO_WIDE, over_seeds


@pytest.fixture
def judged(store):
    """Two seeds: scif is as the retrained model, seif finds less and still shows all."""
    for seed in (0, 1):
        shown = {"original": 8, "retrain": 4, "scif": 4, "seif": 8}
        found = {"original": 6, "retrain": 6, "scif": 6, "seif": 1}
        add_answers(store, seed, shown, found)
    return store


def test_the_numbers_are_those_of_the_stored_tables(small):
    row = row_of(evidence_of(small), "scif")
    assert row["utility"] == 0.37
    assert row["utility_kept"] == pytest.approx(0.37 / 0.39)
    assert (row["shown"], row["shown_original"], row["shown_retrained"]) == (0.65, 0.9, 0.6)
    assert row["forgetting_difference"] == pytest.approx(0.05)
    assert (row["applied"], row["requests"]) == (3, 4)
    assert row["speedup"] == pytest.approx(50)
    assert row["seconds_retraining"] == pytest.approx(10)
    assert row["family"] == "recommender-specific"
    assert row["cells"] == small.key("toy/bpr/scif/s0")


def test_columns_and_types_do_not_depend_on_what_is_there(small):
    filled, empty = evidence_of(small), evidence_of(FakeStore())
    for evidence in (filled, empty):
        board = evidence.frames["leaderboard"]
        assert board.dtypes.astype(str).to_dict() == COLUMNS
    assert len(empty.frames["leaderboard"]) == 0


def test_a_difference_is_that_of_the_people(judged):
    row = row_of(evidence_of(judged), "seif")
    assert row["utility_difference"] == pytest.approx(-5 / 8)
    assert row["utility_low"] < -5 / 8 < row["utility_high"] < 0
    assert row["utility_verdict"] == "worse"
    assert row["forgetting_difference"] == pytest.approx(4 / 8)
    assert row["forgetting_verdict"] in ("worse", "unknown")


def test_the_gap_is_closed_by_who_is_like_the_retrained_model(judged):
    evidence = evidence_of(judged)
    assert row_of(evidence, "scif")["closed_gap"] == pytest.approx(1)
    assert row_of(evidence, "seif")["closed_gap"] == pytest.approx(0)


def test_references_have_no_verdict(judged):
    evidence = evidence_of(judged)
    for method in ("original", "retrain"):
        assert pd.isna(row_of(evidence, method)["utility_verdict"])


def test_one_seed_gives_an_interval_and_no_verdict(store):
    add_answers(store, 0, {"original": 8, "retrain": 4, "seif": 8}, dict.fromkeys(
        ("original", "retrain", "seif"), 4) | {"seif": 1})  # fmt: skip
    row = row_of(evidence_of(store), "seif")
    assert row["utility_verdict"] == "unknown"
    assert row["utility_reason"] == "1 seed; at least 2 are needed"
    assert row["utility_low"] < row["utility_high"]


def test_without_intervals_there_are_numbers_and_no_verdicts(judged):
    evidence = evidence_of(judged, intervals=False)
    row = row_of(evidence, "seif")
    assert row["utility_difference"] == pytest.approx(-5 / 8)
    assert math.isnan(row["utility_low"])
    assert (row["utility_verdict"], row["utility_reason"]) == (
        "unknown",
        "intervals were not asked for",
    )
    assert evidence.basis == "Intervals and verdicts were left out, as was asked for."


def test_too_many_answers_leave_intervals_over_seeds(judged):
    for cell in judged.cells.values():
        cell["manifest"]["files"] = {"ranked.parquet": {"size": 10**6}}
    evidence = evidence_of(judged, most_bytes=1e6)
    row = row_of(evidence, "seif")
    assert "intervals rest on seeds alone (Student's t)" in evidence.basis
    assert row["utility_reason"].endswith("; over seeds alone")
    assert row["utility_reason"].startswith("the same difference in all seeds")
    assert math.isnan(row["utility_low"])
    assert row["utility_verdict"] == "unknown"
    assert math.isnan(row["closed_gap"])


def test_other_questions_are_not_compared(judged):
    for seed in (0, 1):
        cell = judged.cells[judged.key(f"planted/bpr/seif/s{seed}")]
        cell["manifest"]["facts"]["test_hash"] = "d" * 64
    row = row_of(evidence_of(judged), "seif")
    assert "over seeds alone: seed 0: retrain was asked other questions" in row["utility_reason"]


def test_answers_that_are_not_there_are_named(small):
    add_small(small, seed=1)
    row = row_of(evidence_of(small), "scif")
    assert "'ranked.parquet'" in row["utility_reason"]
    assert "; over seeds alone: seed 0: " in row["utility_reason"]


def test_a_lone_original_has_a_row(store):
    add_answers(store, 0, {"original": 8}, {"original": 6})
    row = row_of(evidence_of(store), "original")
    assert row["utility"] == 6 / 8
    assert math.isnan(row["utility_retrained"])


def test_methods_without_a_retrained_model_are_unknown(store):
    add_answers(store, 0, {"original": 8, "scif": 4}, {"original": 6, "scif": 6})
    row = row_of(evidence_of(store), "scif")
    assert row["utility_verdict"] == "unknown"
    assert row["utility_reason"].startswith(
        "method and retrained model have no value with the same seed"
    )


def test_t_intervals_over_seeds():
    # differences 1, 2 and 3: mean 2, standard error 1/sqrt(3), t(0.975; 2) = 4.3027
    values = pd.DataFrame({"seed": [0, 1, 2], "a": [1.0, 2.0, 3.0], "b": 0.0})
    found = over_seeds(values, margin=5.0, alpha=0.05)
    assert found.two_sided.estimate == 2
    assert found.two_sided.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    # TOST: t = (2 - 5) * sqrt(3) = -5.196 with 2 degrees of freedom
    assert found.p_value == pytest.approx(0.0175, abs=5e-4)
    assert found.equivalent
    assert not over_seeds(values, margin=2.5, alpha=0.05).equivalent


def test_a_single_seed_has_no_t_interval():
    found = over_seeds(pd.DataFrame({"seed": [0], "a": [1.0], "b": [0.5]}), 1.0, 0.05)
    assert found.difference.reason == "one seed only"
    assert math.isnan(found.p_value)
    assert not found.equivalent


def test_wide_intervals_say_so(store):
    for seed, count in ((0, 1), (1, 7)):
        found = {"original": 4, "retrain": 4, "scif": count}
        add_answers(store, seed, dict.fromkeys(found, 4), found)
    row = row_of(evidence_of(store), "scif")
    assert (row["utility_verdict"], row["utility_reason"]) == ("unknown", TOO_WIDE)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("margin", 0, "--margin takes a number between 0 and 1, got 0"),
        ("level", 1.0, "--level takes a number between 0.5 and 1, got 1"),
        ("resamples", 5, "--resamples takes 100 or more, got 5"),
    ],
)
def test_options_out_of_range(name, value, text):
    with pytest.raises(Exception, match=text):
        Options(**{name: value})
