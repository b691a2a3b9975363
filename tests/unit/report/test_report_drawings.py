import itertools
import math
import re

import pytest

from erase_ray.report.frame import linear_axis, log_axis
from erase_ray.report.heat import Field, HeatMap
from erase_ray.report.lines import Line, LineChart, Style
from erase_ray.report.measured import Stat
from erase_ray.report.numbers import DASH, MINUS
from erase_ray.report.scatter import Point, Scatter
from erase_ray.report.xy import Curve, CurveChart

STYLE = Style("s0", None, 0)


def points(count: int) -> list[Point]:
    """Points in one small heap."""
    return [
        Point(f"method {n}", STYLE, 100 + 0.1 * math.sin(n), 50 + 0.1 * math.cos(n))
        for n in range(count)
    ]


def label_boxes(drawn: str) -> list[tuple[float, float, float, float]]:
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*class="label[^>]*>([^<]+)<', drawn)
    return [
        (float(x), float(y) - 7, float(x) + 6.9 * len(words), float(y) + 7) for x, y, words in found
    ]


@pytest.mark.parametrize("count", [2, 12, 30])
def test_labels_of_points_do_not_cover_each_other(count):
    drawn = Scatter("c", "T", ("x", "y"), points(count), (100.0, 50.0)).draw()
    boxes = label_boxes(drawn)
    assert len(boxes) >= min(count, 20)
    for a, b in itertools.combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (a, b)


def test_every_point_is_drawn_and_described():
    drawn = Scatter("c", "T", ("x", "y"), [*points(3), Point("none", STYLE, math.nan, 1)]).draw()
    assert drawn.count("<circle") == 3
    assert "method 2: " in drawn
    assert "none" not in drawn


def test_a_scatter_without_points_is_empty():
    nothing = [Point("a", STYLE, math.nan, 0.0), Point("b", STYLE, 0.0, 1.0)]
    assert Scatter("c", "T", ("x", "y"), nothing, is_log=True).draw() == ""


def test_axes_enclose_their_values():
    axis = linear_axis([0.3, 0.9])
    assert (axis.share(0.3), axis.share(0.9)) >= (0.0, 0.5)
    assert axis.share(-5) == 0.0
    log = log_axis([1, 100])
    assert log.share(10) == pytest.approx(0.5)
    assert list(log.labels) == ["1", "10", "100"]


def test_a_map_says_by_signs_what_its_colours_say():
    row = [
        Field(-9.0, "worse", -9.0),
        Field(3.0, "better", 3.0),
        Field(0.0, "equivalent to retraining", 0.0),
        Field(math.nan),
    ]
    drawn = HeatMap("h", "T", ["a", "b", "c", "d"], [("toy", row)]).draw()
    texts = re.findall(r'class="ink">([^<]+)<', drawn)
    assert texts == [f"▼ {MINUS}9.0", "▲ +3.0", "≈ +0.0", DASH]
    assert re.findall(r'class="heat (\w+)"', drawn) == ["bad3", "good1", "same", "none"]
    assert f"toy: a {MINUS}9.0 worse, b +3.0 better" in drawn


def test_an_empty_map_is_not_drawn():
    assert HeatMap("h", "T", ["a"], [("toy", [Field(math.nan)])]).draw() == ""


def test_curves_with_very_different_values_get_a_log_scale():
    near = CurveChart("c", "T", "s", [Curve("a", STYLE, [1, 2], [1.0, 2.0])]).draw()
    far = CurveChart("c", "T", "s", [Curve("a", STYLE, [1, 2], [0.01, 2.0])]).draw()
    assert "log scale" not in near
    assert "s, log scale" in far


def test_curves_without_numbers_are_empty():
    assert CurveChart("c", "T", "s", [Curve("a", STYLE, [1], [math.nan])]).draw() == ""


def test_three_seeds_get_a_band_and_two_get_whiskers():
    def chart(count: int) -> str:
        stats = [Stat(0.5, 0.01, count)] * 4
        return LineChart("c", "T", [Line("a", STYLE, stats)], is_share=False).draw()

    assert chart(3).count('class="band s0"') == 1
    assert "whisker" not in chart(3)
    assert chart(2).count('class="whisker s0"') == 4
    assert "band" not in chart(2)


def test_spread_of_shares_stays_between_0_and_100_percent():
    stats = [Stat(0.95, 0.2, 2)] * 4
    drawn = LineChart("c", "T", [Line("a", STYLE, stats)], is_share=True).draw()
    assert "100 %" in drawn
    assert "120 %" not in drawn
