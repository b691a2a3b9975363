from fake_report_store import FakeStore, curves

from erase_ray.experiment.store import CellRecord, Store
from erase_ray.report import summary_table
from erase_ray.report.numbers import TIMES


def line(text: str, method: str) -> list[str]:
    """The words of a method's line."""
    found = [row.split() for row in text.splitlines() if row.startswith(f"  {method}")]
    assert len(found) == 1
    return found[0]


def test_a_line_holds_the_numbers_of_the_last_mark(small):
    text = summary_table(small, small.keys())
    assert f"toy {TIMES} bpr  [sensitive: health]" in text
    # 3 of 4 requests applied; the four retrainings take 10 s on average, a request 0.2 s
    assert " ".join(line(text, "scif")) == f"scif 0.4700 0.3700 52.0 % 65.0 % 3/4 0.200 50{TIMES}"


def test_trainings_stand_in_their_own_column_and_have_no_requests(small):
    text = summary_table(small, small.keys())
    assert " ".join(line(text, "original")) == "original 0.5000 0.4000 80.0 % 90.0 % 12.0"
    retrain = " ".join(line(text, "retrain"))
    assert retrain == f"retrain 0.4800 0.3900 50.0 % 60.0 % 10.0 1.0{TIMES}"
    head, row = (next(r for r in text.splitlines() if key in r) for key in ("s/request", "12.0"))
    assert head.index("s/training") <= row.index("12.0") < head.index("s/training") + 10


def test_seeds_are_averaged_with_the_sample_standard_deviation(two_seeds):
    text = summary_table(two_seeds, two_seeds.keys())
    # 0.47 and 0.49: mean 0.48, sd 0.02 / sqrt(2) = 0.0141
    assert line(text, "scif")[1:3] == ["0.4800±0.0141", "0.3700±0.0000"]
    assert line(text, "scif")[7] == "6/8"
    assert "±: standard deviation over seeds" in text


def test_every_line_fits_a_terminal(two_seeds):
    table = summary_table(two_seeds, two_seeds.keys()).split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 110


def test_a_planned_cell_that_is_missing_gets_dashes_and_is_named(small):
    key = small.key("toy/bpr/scif/s0")
    small.cells[key]["done"] = False
    text = summary_table(small, small.keys(), small.planned())
    assert line(text, "scif*") == ["scif*", *["-"] * 7]
    assert text.splitlines()[-1] == "* 1 of 6 cells missing or failed: toy/bpr/scif/s0"


def test_a_missing_cell_that_nobody_knows_is_named_by_its_key(small):
    text = summary_table(small, [*small.keys(), "ab" * 32])
    assert text.splitlines()[-1] == "* 1 of 7 cells missing or failed: cell abababababab"


def test_a_missing_last_retraining_is_not_replaced_by_an_earlier_one(small):
    small.cells[small.key("toy/bpr/retrain@4/s0")]["done"] = False
    row = line(summary_table(small, small.keys(), small.planned()), "retrain*")
    assert row[1:5] == ["-"] * 4
    assert row[5] == "9.33"  # (8 + 9 + 11) / 3, of the trainings that are there


def test_a_damaged_cell_counts_as_failed(small):
    small.cells[small.key("toy/bpr/scif/s0")]["broken"] = True
    text = summary_table(small, small.keys(), small.planned())
    assert line(text, "scif*")[1] == "-"
    assert "1 of 6 cells missing or failed: toy/bpr/scif/s0" in text


def test_a_value_that_is_undefined_is_not_missing(store):
    nothing = curves([float("nan")] * 4, [0.1] * 4, [0.5] * 4, [0.5] * 4)
    store.add("toy", "bpr", "original", nothing)
    assert line(summary_table(store, store.keys()), "original")[1] == "nan"


def test_an_undefined_seed_makes_the_mean_undefined(two_seeds):
    table = two_seeds.cells[two_seeds.key("toy/bpr/original/s1")]["tables"]["results"]
    table.loc[table["metric"] == "ndcg", "value"] = float("nan")
    text = summary_table(two_seeds, two_seeds.keys())
    assert line(text, "original")[2] == "nan±nan"


def test_without_results_it_says_so():
    assert summary_table(FakeStore(), ["ab" * 32]) == (
        "no results yet\n1 of 1 cells missing or failed: cell abababababab"
    )


def test_one_method_with_two_settings_is_two_numbered_lines(store):
    for damping in (0.1, 0.01):
        values = curves([damping] * 4, [0.4] * 4, [0.5] * 4, [0.6] * 4)
        store.add("toy", "bpr", "scif", values, settings={"damping": damping, "num_retain": 8})
    text = summary_table(store, store.keys())
    assert line(text, "scif-1")[1] == "0.0100"
    assert line(text, "scif-2")[1] == "0.1000"
    assert "scif-1: damping=0.01\nscif-2: damping=0.1" in text


def test_two_settings_of_a_model_are_two_titles(store):
    values = curves([0.5] * 4, [0.4] * 4, [0.5] * 4, [0.6] * 4)
    key = store.add("toy", "bpr", "original", values)
    store.cells[key]["settings"]["model"]["settings"]["dimension"] = 32
    store.add("toy", "bpr", "original", values, seed=1)
    text = summary_table(store, store.keys())
    assert f"toy {TIMES} bpr (model.dimension=32)" in text
    assert f"toy {TIMES} bpr (model.dimension=64)" in text


def test_the_real_store_gives_the_same_table(two_seeds, tmp_path):
    real = Store(str(tmp_path))
    for key, cell in two_seeds.cells.items():
        facts = cell["manifest"]["facts"]
        real.put_cell(key, CellRecord(settings=cell["settings"], facts=facts, **cell["tables"]))
    expected = summary_table(two_seeds, two_seeds.keys())
    assert summary_table(Store(str(tmp_path), read_only=True), two_seeds.keys()) == expected
