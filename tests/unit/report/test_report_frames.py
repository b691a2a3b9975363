import json

import numpy as np
import pandas as pd
import pytest
from fake_report_store import add_small
from report_toys import evidence_of

from erase_ray.experiment.grid import load_cells
from erase_ray.report.cell_frames import grid_of
from erase_ray.report.curves import MOST_POINTS, request_curves
from erase_ray.report.evidence import gather
from erase_ray.report.options import Options
from erase_ray.report.run_files import Failure


def one(frame: pd.DataFrame, **wanted: object) -> dict:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    (row,) = frame.to_dict("records")
    return row


def test_marks_hold_means_over_seeds_and_the_distance_to_retraining(two_seeds):
    frame = evidence_of(two_seeds, intervals=False).frames["by_mark"]
    row = one(frame, method="scif", metric="recall", k=20, mark=4)
    # 0.47 and 0.49 against 0.48 twice
    assert row["mean"] == pytest.approx(0.48)
    assert row["sd"] == pytest.approx(0.02 / np.sqrt(2))
    assert row["high"] - row["mean"] == pytest.approx(12.7062 * 0.02 / 2, rel=1e-4)
    assert (row["num_seeds"], row["n"]) == (2, 200)
    assert row["retrained"] == pytest.approx(0.48)
    assert row["difference"] == pytest.approx(0.0)
    assert len(row["cells"].split()) == 2


def test_an_undefined_seed_makes_the_mean_undefined(two_seeds):
    table = two_seeds.cells[two_seeds.key("toy/bpr/scif/s1")]["tables"]["results"]
    table["value"] = np.nan
    frame = evidence_of(two_seeds, intervals=False).frames["by_mark"]
    row = one(frame, method="scif", metric="recall", k=20, mark=4)
    assert np.isnan(row["mean"])
    assert np.isnan(row["sd"])


def test_groups_have_a_column_of_their_own(store):
    values = {("ndcg", 20): [0.4] * 4, ("ndcg.requesters", 20): [0.2] * 4}
    store.add("toy", "bpr", "original", values)
    frame = evidence_of(store).frames["groups"]
    row = one(frame, group="requesters")
    assert (row["metric"], row["mean"]) == ("ndcg", 0.2)
    assert len(frame) == 1


def test_costs_are_told_apart_from_metrics(small):
    metrics = set(evidence_of(small, intervals=False).frames["costs"]["metric"])
    assert {"seconds_train", "seconds_request", "seconds_request_p95"} <= metrics
    assert "recall" not in metrics


def test_audits_stand_by_themselves(small):
    rows = {
        ("ulira.auc", 0): [0.6] * 4,
        ("ulira.auc_low", 0): [0.5] * 4,
        ("cpu_seconds", 0): [1.0] * 4,
    }
    key = small.add("toy", "bpr", "scif", rows, settings={})
    small.cells[key] |= {"label": "toy/bpr/scif/ulira/s0"}
    audit = dict(small.cells.pop(key))
    add_small(small)
    audit["settings"] = audit["settings"] | {"audit": {"name": "ulira", "settings": {}}}
    small.cells["e" * 64] = audit
    evidence = evidence_of(small, intervals=False)
    assert one(evidence.frames["coverage"], method="audit ulira")["done"] == 1
    assert one(evidence.frames["coverage"], method="scif")["done"] == 1
    assert set(evidence.frames["audits"]["metric"]) == {"ulira.auc", "ulira.auc_low"}
    assert not evidence.frames["by_mark"]["metric"].str.startswith("ulira").any()
    row = one(evidence.frames["leaderboard"], method="scif")
    assert (row["privacy_audit"], row["privacy_auc"], row["privacy_auc_low"]) == ("ulira", 0.6, 0.5)
    assert one(evidence.frames["cells"], audit="ulira")["label"] == "toy/bpr/scif+ulira/s0"


def test_base_and_shadow_models_are_no_results(small):
    for label, change in (
        ("toy/bpr/base/s0", {}),
        ("toy/bpr/scif/s7", {"shadow": {"index": 0, "count": 8}}),
    ):
        _, model, method, seed = label.split("/")
        key = small.add("toy", model, method, {}, seed=int(seed[1:]))
        small.cells[key]["settings"] |= change
    evidence = evidence_of(small, intervals=False)
    assert len(evidence.frames["cells"]) == 6
    assert set(evidence.frames["leaderboard"]["method"]) == {"original", "retrain", "scif"}


def test_coverage_counts_what_is_missing_and_what_failed(small):
    for label in ("toy/bpr/scif/s0", "toy/bpr/retrain@4/s0"):
        small.cells[small.key(label)]["done"] = False
    failure = Failure(small.key("toy/bpr/scif/s0"), "toy/bpr/scif/s0", "memory", "too big")
    evidence = gather(
        small,
        small.keys(),
        Options(intervals=False),
        planned=small.planned(),
        failures=[failure],
    )
    coverage = evidence.frames["coverage"]
    assert one(coverage, method="scif") == {
        "task": "cf", "method": "scif", "done": 0, "missing": 0, "failed": 1,
    }  # fmt: skip
    assert one(coverage, method="retrain")["missing"] == 1
    row = one(evidence.frames["failures"], label="toy/bpr/scif/s0")
    assert (row["kind"], row["error"], row["attempts"]) == ("memory", "too big", 1)


def test_a_failure_that_is_mended_is_none(small):
    failure = Failure(small.key("toy/bpr/scif/s0"), "toy/bpr/scif/s0", "memory", "too big")
    evidence = gather(small, small.keys(), Options(intervals=False), failures=[failure])
    assert len(evidence.frames["failures"]) == 0


def requests(count: int, seeds: tuple[int, ...] = (0,)) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"panel": "p", "series": "scif", "seed": seed, "request": n, "seconds_data": 1.0}
            | {"seconds_algorithm": float(seed), "step_norm": 2.0 + seed, "status": "applied"}
            for seed in seeds
            for n in range(count)
        ]
    )


IDENTITY = pd.DataFrame([{"panel": "p", "series": "scif", "method": "scif"}])


def test_curves_are_medians_over_seeds_and_seconds_add_up():
    frame = request_curves(requests(4, (0, 1, 2)), IDENTITY)
    assert frame["request"].tolist() == [1, 2, 3, 4]
    assert frame["cumulative_seconds"].tolist() == [2, 4, 6, 8]  # seed 1 is the median
    assert set(frame["step_norm"]) == {3.0}


def test_long_curves_are_thinned_and_keep_their_ends():
    frame = request_curves(requests(5000), IDENTITY)
    assert len(frame) == MOST_POINTS
    assert (frame["request"].iloc[0], frame["request"].iloc[-1]) == (1, 5000)
    assert frame["cumulative_seconds"].iloc[-1] == 5000


def test_requests_that_changed_nothing_have_no_step():
    frame = requests(2).assign(status=["applied", "skipped"])
    assert np.isnan(request_curves(frame, IDENTITY)["step_norm"].iloc[1])


def test_the_grid_of_a_cell_gives_the_cell_again(tmp_path):
    grid = {
        "blocks": [
            {
                "datasets": {"planted": {"task": "cf", "num_users": 50}},
                "models": {"bpr": {"embedding_size": 8}},
                "training": {"epochs": 3, "learning_rate": 0.01},
                "scenarios": {"sensitive": {"category": "sensitive", "fraction": 0.02}},
                "methods": {"scif": {"damping": 0.5}},
                "seeds": [7],
                "limit_s": 12.5,
            }
        ]
    }
    path = tmp_path / "grid.yaml"
    path.write_text(json.dumps(grid))
    (cell,) = load_cells(path)
    path.write_text(grid_of(cell.model_dump(mode="json")))
    (again,) = load_cells(path)
    assert again.key == cell.key
