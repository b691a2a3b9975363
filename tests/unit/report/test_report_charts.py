import re

import pytest

from erase_ray.report import numbers, svg
from erase_ray.report.bars import Bar, BarChart
from erase_ray.report.figures import figures_of, styles_of
from erase_ray.report.lines import Line, LineChart, Style, tick_labels
from erase_ray.report.measured import Stat
from erase_ray.report.panels import differences, make_panels
from erase_ray.report.read import read_cells

STYLE = Style("s0", None, 0)


def chart(*lines: list[float | None]) -> str:
    named = [
        Line(f"m{n}", STYLE, [None if v is None else Stat(v) for v in values])
        for n, values in enumerate(lines)
    ]
    return LineChart("c", "Title", named, is_share=False).draw()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.251, 0.3148, [0.24, 0.26, 0.28, 0.3, 0.32]),
        (-3.0, 2.0, [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 0.5, -2.0])
def test_ticks_of_one_value_enclose_it(value):
    found = svg.ticks(value, value)
    assert found[0] < value < found[-1]


def test_labels_of_ticks_have_the_decimals_that_tell_them_apart():
    assert tick_labels([0.2, 0.25, 0.3], is_share=False) == ["0.20", "0.25", "0.30"]
    assert tick_labels([0.2, 0.25, 0.3], is_share=True) == ["20 %", "25 %", "30 %"]
    assert tick_labels([0.0, 0.005], is_share=True) == ["0.0 %", "0.5 %"]


def test_spread_keeps_the_order_the_gap_and_the_bounds():
    assert svg.spread([50.0, 50.0, 10.0], 15.0, 0.0, 100.0) == [50.0, 65.0, 10.0]
    assert svg.spread([95.0, 99.0, 98.0], 15.0, 0.0, 100.0) == [70.0, 100.0, 85.0]


def test_a_line_breaks_where_a_mark_is_missing():
    drawn = chart([0.1, 0.2, None, 0.4])
    paths = re.findall(r'<path d="([^"]+)"', drawn)
    assert [path.count(" L") for path in paths] == [1]  # 25 to 50 %, nothing across the gap
    assert drawn.count("<circle") == 3


def test_a_higher_value_is_drawn_higher():
    (d,) = re.findall(r'<path d="M([^"]+)"', chart([0.1, 0.2, 0.3, 0.4]))
    heights = [float(point.split()[1]) for point in d.split(" L")]
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == 4


def test_a_chart_without_values_is_empty():
    assert chart([None] * 4, [float("nan")] * 4) == ""
    assert BarChart("c", "Title", []).draw() == ""


def test_seconds_that_are_undefined_are_not_drawn(store):
    seconds = {f"seconds_{name}": float("nan") for name in ("data", "algorithm", "save", "request")}
    store.add("toy", "bpr", "scif", {}, seconds=seconds)
    (panel,) = make_panels(read_cells(store, store.keys()))
    assert figures_of(panel, styles_of([panel])) == []


def test_names_are_escaped():
    line = Line("<b>", STYLE, [Stat(0.1)] * 4)
    assert "<b>" not in LineChart("c", "T", [line], is_share=False).draw()


def test_similar_seconds_are_stacked_in_proportion():
    drawn = BarChart("c", "T", [Bar("a", (1.0, 3.0, 0.0), 4.0)]).draw()
    first, second = (float(width) for width in re.findall(r'width="([\d.]+)"', drawn))
    assert second == pytest.approx(3 * first, rel=1e-3)
    assert "log scale" not in drawn


def test_very_different_seconds_are_marks_on_a_log_scale():
    bars = [Bar("a", (0.001, 0.01, 0.0), 0.011), Bar("b", (0.1, 1.0, 0.0), 1.1)]
    drawn = BarChart("c", "T", bars).draw()
    assert "log scale" in drawn
    assert "<rect" not in drawn
    # the same factor is the same distance: 0.001 to 0.1
    left = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)][1:]
    axis = {
        label: float(x)
        for x, label in re.findall(r'<text x="([\d.]+)"[^>]*middle[^>]*>([\d.]+)<', drawn)
    }
    assert left == pytest.approx([axis["0.001"], axis["0.1"]], abs=0.02)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.4, "1234"), (12.34, "12.3"), (0.2, "0.200"), (0.00123456, "0.00123")],
)
def test_seconds_have_three_significant_digits(value, text):
    assert numbers.significant(value) == text


def test_undefined_numbers_are_nan():
    nan = float("nan")
    assert numbers.significant(nan) == numbers.plain(nan) == numbers.percent(nan) == "nan"


def test_times_are_shortened_and_other_texts_kept():
    assert numbers.utc("2026-02-01T10:20:30.123+00:00") == "2026-02-01 10:20 UTC"
    assert numbers.utc("") == ""


def test_long_names_are_cut():
    assert numbers.short("scif") == "scif"
    assert numbers.short("a" * 20) == "a" * 13 + "…"


def test_differences_name_only_what_differs():
    parts = [
        {"name": "scif", "settings": {"damping": 0.1, "steps": 5}},
        {"name": "scif", "settings": {"damping": 0.2, "steps": 5}},
        {"name": "scif", "settings": {"damping": 0.2, "steps": 5, "extra": True}},
    ]
    assert differences(parts) == ["damping=0.1", "damping=0.2", "damping=0.2, extra=True"]
