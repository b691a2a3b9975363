"""The chart of something over single requests, one line a method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.frame import LETTER, Frame, linear_axis, log_axis
from erase_ray.report.lines import Style
from erase_ray.report.numbers import short, significant

_SIZE = (400.0, 262.0)
_LABEL_GAP, _LOG_ABOVE = 16.0, 50.0


@dataclass(frozen=True)
class Curve:
    """A series: places and values in order; values that are no numbers leave a gap."""

    name: str
    style: Style
    xs: Sequence[float]
    ys: Sequence[float]

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        return [(x, y) for x, y in zip(self.xs, self.ys, strict=True) if math.isfinite(y)]


@dataclass(frozen=True)
class CurveChart:
    """Lines over requests; the scale is logarithmic where values differ by a factor above 50.

    Args:
        id: Unique in the page.
        title: What is drawn.
        unit: What the vertical axis says.
        curves: With or without points.
    """

    id: str
    title: str
    unit: str
    curves: Sequence[Curve]

    def draw(self) -> Markup:
        """The chart; empty if there is nothing to draw."""
        shown = [curve for curve in self.curves if curve.points]
        if not shown:
            return Markup("")
        values = [y for curve in shown for _, y in curve.points]
        above = [value for value in values if value > 0]
        is_log = bool(above) and max(values) > _LOG_ABOVE * min(above)
        x = linear_axis([0, *(x for curve in shown for x, _ in curve.points)], 5)
        y = log_axis(above) if is_log else linear_axis([0, *values])
        gutter = 16 + LETTER * max(len(short(curve.name)) for curve in shown)
        unit = f"{self.unit}, log scale" if is_log else self.unit
        frame = Frame(x, y, _SIZE, gutter, ("requests served", unit))
        lines = [
            svg.path([frame.at(*point) for point in curve.points], f"line {curve.style.css}")
            for curve in shown
        ]
        labels = _labels(frame, shown)
        return svg.drawing(
            self.id, _SIZE, self.title, self._description(shown), *frame.grid(), *lines, *labels
        )

    def _description(self, shown: Sequence[Curve]) -> str:
        ends = [f"{c.name}: {significant(c.points[-1][1])}" for c in shown]
        return f"{self.unit} after the last request. {'; '.join(ends)}."


def _labels(frame: Frame, shown: Sequence[Curve]) -> list[Markup]:
    ends = [frame.at(*curve.points[-1]) for curve in shown]
    room = max(frame.bottom, frame.top + _LABEL_GAP * (len(shown) - 1))
    places = svg.spread([y for _, y in ends], _LABEL_GAP, frame.top, room)
    parts = []
    for curve, (x, y), place in zip(shown, ends, places, strict=True):
        css = curve.style.css
        parts += [
            svg.line(x + 3, y, frame.right + 6, place, f"leader {css}"),
            svg.text(frame.right + 10, place, short(curve.name), class_=f"label {css}"),
        ]
    return parts
