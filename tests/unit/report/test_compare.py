import json
import math

import pandas as pd
import pytest
from stored_toys import put, put_run

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment.store import Store
from erase_ray.report.compare import Comparison, Side, compare
from erase_ray.report.compare_numbers import Change, Number, Ratio
from erase_ray.report.compare_text import MOST, compare_json, compare_lines
from erase_ray.report.numbers import TIMES
from erase_ray.report.statistics import paired_means

RECALL = ("recall", 20)


@pytest.fixture
def a(tmp_path) -> Store:
    return Store(str(tmp_path / "a"))


@pytest.fixture
def b(tmp_path) -> Store:
    return Store(str(tmp_path / "b"))


def found(a: Store, b: Store, **options) -> Comparison:
    return compare(Side(a), Side(b), **options)


def both(a: Store, b: Store, values_b: tuple[float, ...], **options_b) -> None:
    """The same cell on both sides, with other numbers on the second."""
    put(a, values={RECALL: (0.1, 0.2, 0.3, 0.4)})
    put(b, values={RECALL: values_b}, **options_b)


def test_the_same_bytes_are_equal_whatever_they_cost(a, b):
    both(a, b, (0.1, 0.2, 0.3, 0.4), seconds=20.0)
    same = found(a, b)
    (twin,) = same.twins
    assert (twin.identical, twin.numbers, twin.weights) == (True, (), ())
    assert twin.seconds == (10.0, 20.0)
    assert same.is_equal
    assert compare_lines(same)[3:] == [
        "1 cell in both, 1 with results that are the same to the last byte",
        f"seconds of these: A 10.0, B 20.0 (2.00{TIMES})",
        "",
        "equal",
    ]


def test_numbers_that_differ_are_listed_with_their_difference(a, b):
    both(a, b, (0.1, 0.25, 0.3, 0.4))
    (twin,) = found(a, b).twins
    assert (twin.identical, twin.compared) == (False, 4)
    assert twin.numbers == (Number("recall", 20, 2, 0.2, 0.25, False),)
    assert twin.numbers[0].difference == pytest.approx(0.05)
    lines = compare_lines(found(a, b))
    assert "  1 of 4 numbers differ" in lines
    assert lines[-3].split() == ["recall", "20", "2", "0.2", "0.25", "+0.05"]
    assert lines[-1] == "different"


@pytest.mark.parametrize(
    ("one", "two", "tolerance", "is_within"),
    [
        (1.0, 1.1, 0.1, True),
        (1.0, 1.12, 0.1, False),
        (-1.0, -1.05, 0.05, True),
        (0.0, 1e-12, 0.5, False),
        (0.0, 0.0, 0.0, True),
        (math.nan, math.nan, 0.0, True),
        (math.nan, 1.0, 0.9, False),
        (None, 1.0, 0.9, False),
    ],
)
def test_the_tolerance_is_a_share_of_the_larger(one, two, tolerance, is_within):
    assert Number("m", 1, 1, one, two, False).is_within(tolerance) is is_within
    assert Number("m", 1, 1, two, one, False).is_within(tolerance) is is_within


def test_within_the_tolerance_all_is_equal_and_weights_are_only_told(a, b):
    both(a, b, (0.1, 0.2, 0.3, 0.4000001), weight=2.0)
    assert not found(a, b).is_equal
    loose = found(a, b, tolerance=1e-6)
    assert loose.is_equal
    assert loose.twins[0].weights == ("4",)
    lines = compare_lines(loose)
    assert "  weights differ at mark 4" in lines
    assert lines[-1] == "equal within 1e-06"
    assert compare_lines(found(a, b, tolerance=1e-9))[-1] == "different, not within 1e-09"


def test_weights_alone_are_a_difference(a, b):
    both(a, b, (0.1, 0.2, 0.3, 0.4), weight=2.0)
    assert not found(a, b).is_equal


def test_numbers_about_other_queries_are_never_equal(a, b):
    both(a, b, (0.1, 0.2, 0.3, 0.4), test_hash="u" * 8)
    loose = found(a, b, tolerance=0.5)
    assert loose.twins[0].queries == 4
    assert not loose.is_equal
    assert "  4 numbers are about other queries" in compare_lines(loose)


def test_numbers_that_one_side_lacks_differ(a, b):
    put(a, values={RECALL: (0.1,) * 4, ("hit", 5): (0.2,) * 4})
    put(b, values={RECALL: (0.1,) * 4})
    (twin,) = found(a, b, tolerance=1.0).twins
    assert [(n.metric, n.a, n.b) for n in twin.numbers] == [("hit", 0.2, None)] * 4
    assert math.isnan(twin.numbers[0].difference)


def test_cells_that_only_one_side_has_are_named(a, b):
    put(a), put(b)
    put(a, seed=3)
    put(b, "retrain", mark=1, values={RECALL: (0.1,)})
    different = found(a, b, tolerance=1.0)
    assert different.only_a == ("toy:small/bpr/scif/s3",)
    assert different.only_b == ("toy:small/bpr/retrain@1/s2",)
    assert not different.is_equal
    lines = compare_lines(different)
    assert lines[lines.index("only in A: 1 cell") + 1] == "  toy:small/bpr/scif/s3"


def test_the_same_experiment_under_another_key_is_matched_by_seed(a, b):
    lifts = {1: 0.02, 2: 0.04, 3: 0.03}
    for seed, lift in lifts.items():
        put(a, seed=seed, values={RECALL: (0.1, 0.2, 0.3, 0.4 + seed / 100)}, seconds=10.0)
        values = (0.1, 0.2, 0.3, 0.4 + seed / 100 + lift)
        put(b, seed=seed, values={RECALL: values}, epochs=3, seconds=30.0)
    (experiment,) = found(a, b).experiments
    assert (experiment.label, experiment.seeds) == ("toy:small/bpr/scif", (1, 2, 3))
    assert experiment.settings == (Change("training.epochs", 2, 3),)
    assert [number.is_same for number in experiment.numbers] == [True, True, True, False]
    last = experiment.numbers[-1]
    assert (last.a, last.b) == (pytest.approx(0.42), pytest.approx(0.45))
    assert last.difference.estimate == pytest.approx(0.03)
    assert last.difference.low < 0.03 < last.difference.high
    assert last.difference.num_users == 3
    assert experiment.costs[0] == Ratio("seconds", "s", 10.0, 30.0)
    assert experiment.costs[0].ratio == 3.0
    lines = compare_lines(found(a, b))
    assert "toy:small/bpr/scif, seeds 1, 2, 3" in lines
    assert "  training.epochs: 2 -> 3" in lines
    assert f"  seconds: A 10.0 s, B 30.0 s (3.00{TIMES})" in lines
    row = next(line for line in lines if line.split()[:3] == ["recall", "20", "4"])
    assert row.split()[3:6] == ["0.42", "0.45", "+0.03"]


def test_the_interval_is_that_of_the_paired_differences(a, b):
    values = {1: (0.40, 0.44), 2: (0.50, 0.52), 3: (0.45, 0.52), 4: (0.42, 0.43)}
    for seed, (one, two) in values.items():
        put(a, seed=seed, values={RECALL: (one,) * 4})
        put(b, seed=seed, values={RECALL: (two,) * 4}, epochs=3)
    rows = [{"seed": 0, "user": s, "a": two, "b": one} for s, (one, two) in values.items()]
    assert found(a, b).experiments[0].numbers[0].difference == paired_means(pd.DataFrame(rows))


def test_one_seed_has_a_difference_and_no_interval(a, b):
    put(a, values={RECALL: (0.1, 0.2, 0.3, 0.4)})
    put(b, values={RECALL: (0.1, 0.2, 0.3, 0.5)}, epochs=3)
    (number,) = [n for n in found(a, b).experiments[0].numbers if not n.is_same]
    assert number.difference is None
    assert number.change == pytest.approx(0.1)
    assert not any("interval" in line for line in compare_lines(found(a, b)))


def test_another_version_of_the_same_settings_is_said_so_and_may_be_equal(a, b):
    put(a)
    put(b, version=2)
    same = found(a, b)
    assert same.is_equal
    lines = compare_lines(same)
    assert "  the same settings; another version or format" in lines
    assert "  all 4 numbers are the same" in lines


def test_of_several_variants_the_nearest_are_matched(a, b):
    put(a, settings={"damping": 0.1, "steps": 5})
    put(a, settings={"damping": 0.2, "steps": 5})
    put(b, settings={"damping": 0.2, "steps": 5}, version=2)
    put(b, settings={"damping": 0.9, "steps": 9})
    changed = [experiment.settings for experiment in found(a, b).experiments]
    assert () in changed
    assert (Change("method.damping", 0.1, 0.9), Change("method.steps", 5, 9)) in changed


def test_audits_and_marks_are_experiments_of_their_own(a, b):
    put(a, more={"audit": {"name": "rmia", "settings": {}}})
    put(b, more={"audit": {"name": "ulira", "settings": {}}})
    put(a, "retrain", mark=1, values={RECALL: (0.1,)})
    put(b, "retrain", mark=2, values={RECALL: (0.1,)})
    put(a, "base", more={"shadow": {"index": 0, "count": 4}})
    put(b, "base", more={"shadow": {"index": 1, "count": 4}})
    apart = found(a, b)
    assert apart.experiments == ()
    assert len(apart.only_a) == len(apart.only_b) == 3


def test_runs_of_one_store_and_only(a):
    one, two = put(a), put(a, seed=3)
    put_run(a, "first", [one, two])
    put_run(a, "second", [one])
    halves = compare(Side(a, "first"), Side(a, "second"))
    assert [twin.key for twin in halves.twins] == [one]
    assert halves.only_a == ("toy:small/bpr/scif/s3",)
    assert halves.a.endswith(" (run first)")
    assert compare(Side(a, "first"), Side(a, "second"), only="seed=2").is_equal
    # a value that one side lacks is a difference, not a mistake
    assert not compare(Side(a, "first"), Side(a, "second"), only="seed=3").is_equal
    with pytest.raises(StoreError, match=r"has the runs first, second"):
        compare(Side(a, "third"), Side(a))


def test_nothing_to_compare_is_an_error(a, b):
    with pytest.raises(SettingsError, match=r"^there is no finished cell in .*/a and none in "):
        found(a, b)
    put(a)
    with pytest.raises(SettingsError, match=r"^--only seed=9 leaves no cell in"):
        found(a, b, only="seed=9")
    with pytest.raises(SettingsError, match=r"^--tolerance takes a number from 0 on, got nan"):
        found(a, a, tolerance=math.nan)


def test_long_lists_are_cut_in_text_and_whole_in_json(a, b):
    values = {(f"metric{'x' * 90}{n}", 10): (float(n),) * 4 for n in range(MOST)}
    put(a, values=values)
    put(b, values=dict.fromkeys(values, (math.nan,) * 4))
    different = found(a, b)
    lines = compare_lines(different)
    assert max(map(len, lines)) == 100
    assert f"    and {4 * MOST - MOST + 1} more (--json lists all)" in lines
    plain = json.loads(compare_json(different), parse_constant=lambda text: pytest.fail(text))
    assert plain["equal"] is False
    assert len(plain["twins"][0]["numbers"]) == 4 * MOST
    assert plain["twins"][0]["numbers"][0]["b"] is None
