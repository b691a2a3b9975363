from fake_report_store import add_small

from erase_ray.report.checks import gap_line, warnings
from erase_ray.report.numbers import TIMES
from erase_ray.report.panels import make_panels
from erase_ray.report.read import CellInfo, read_cells


def found(store) -> list[str]:
    return warnings(make_panels(read_cells(store, store.keys())))


def test_the_same_rows_for_all_raise_no_warning(two_seeds):
    assert found(two_seeds) == []


def test_other_test_rows_are_named_with_those_who_saw_them(store):
    add_small(store, test_hash="c" * 64)
    start = "toy, sensitive: health, seed 0: the"
    end = "differ, so these numbers are not comparable: bpr/original, bpr/retrain (aaaaaaaa)"
    assert found(store) == [
        f"{start} requesters {end} | bpr/scif (cccccccc)",
        f"{start} test rows {end} | bpr/scif (cccccccc)",
    ]


def test_seeds_may_have_different_rows(small):
    add_small(small, seed=1)
    for cell in small.cells.values():
        if cell["settings"]["seed"] == 1:
            cell["tables"]["results"]["test_hash"] = "d" * 64
    assert found(small) == []


def test_seconds_of_different_devices_are_called_incomparable(small):
    small.cells[small.key("toy/bpr/scif/s0")]["manifest"]["facts"]["device"] = "cuda"
    assert found(small) == [
        f"toy {TIMES} bpr: cells ran on different devices (cpu, cuda), "
        "so their seconds are not comparable"
    ]


def test_a_cell_that_applied_nothing_is_named(small):
    table = small.cells[small.key("toy/bpr/retrain@2/s0")]["tables"]["requests"]
    table["status"] = "non_finite"
    assert found(small) == [
        f"toy {TIMES} bpr: toy/bpr/retrain@2/s0 applied none of its 1 requests, "
        "so its numbers are those of the model it started from"
    ]


def test_the_gap_line_names_three_and_counts_the_rest():
    cells = [CellInfo(f"{number}" * 12) for number in range(5)]
    assert gap_line(cells) == (
        "5 of 5 cells missing or failed: cell 000000000000, cell 111111111111, "
        "cell 222222222222 and 2 more"
    )
    assert gap_line([]) == ""
