"""The chart of one quality against another, one point a method and model."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.frame import Axis, Frame, linear_axis, log_axis
from erase_ray.report.lines import Style
from erase_ray.report.numbers import significant

_SIZE = (760.0, 460.0)
_LETTER, _HIGH = 6.9, 14.0

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Point:
    """A method on a model.

    Args:
        label: Written beside it.
        style: Colour and shape.
        x: Horizontal value.
        y: Vertical value.
    """

    label: str
    style: Style
    x: float
    y: float


@dataclass(frozen=True)
class Scatter:
    """Points with their names beside them, none of which covers another.

    Args:
        id: Unique in the page.
        title: What is drawn.
        axes: Titles of the horizontal and the vertical axis.
        points: Those that are not finite are left out.
        marks: Values to draw a line at: the retrained model's, by axis; NaN for none.
        is_log: True for a logarithmic horizontal axis.
    """

    id: str
    title: str
    axes: tuple[str, str]
    points: Sequence[Point]
    marks: tuple[float, float] = (math.nan, math.nan)
    is_log: bool = False

    def draw(self) -> Markup:
        """The chart; empty without a point."""
        shown = self._shown()
        if not shown:
            return Markup("")
        frame = Frame(self._x_axis(shown), self._y_axis(shown), _SIZE, 16.0, self.axes)
        places = [frame.at(point.x, point.y) for point in shown]
        parts = [*frame.grid(), *self._references(frame)]
        labels = _place_labels(
            frame, places, [point.label for point in shown], self._reference_boxes(frame)
        )
        for point, (x, y), box in zip(shown, places, labels, strict=True):
            parts += _labelled(point, x, y, box)
        for point, (x, y) in zip(shown, places, strict=True):
            parts.append(svg.marker(point.style.shape, x, y, f"mark {point.style.css}", 5.0))
        return svg.drawing(self.id, _SIZE, self.title, self._description(shown), *parts)

    def _shown(self) -> list[Point]:
        return [
            point
            for point in self.points
            if math.isfinite(point.x)
            and math.isfinite(point.y)
            and (point.x > 0 or not self.is_log)
        ]

    def _x_axis(self, shown: Sequence[Point]) -> Axis:
        values = [point.x for point in shown]
        if self.is_log:
            return log_axis([*values, *_finite(self.marks[0])])
        return linear_axis([*values, *_finite(self.marks[0])], 7)

    def _y_axis(self, shown: Sequence[Point]) -> Axis:
        return linear_axis([*(point.y for point in shown), *_finite(self.marks[1])], 7)

    def _references(self, frame: Frame) -> list[Markup]:
        return [svg.line(*box, "reference") for box in self._reference_boxes(frame)]

    def _reference_boxes(self, frame: Frame) -> list[Box]:
        """The lines at ``marks``, as boxes without width or height."""
        boxes: list[Box] = []
        if math.isfinite(self.marks[0]):
            x, _ = frame.at(self.marks[0], frame.y.ticks[0])
            boxes.append((x, frame.top, x, frame.bottom))
        if math.isfinite(self.marks[1]):
            _, y = frame.at(frame.x.ticks[0], self.marks[1])
            boxes.append((frame.left, y, frame.right, y))
        return boxes

    def _description(self, shown: Sequence[Point]) -> str:
        texts = [f"{p.label}: {significant(p.x)}, {significant(p.y)}" for p in shown]
        return f"Horizontal: {self.axes[0]}; vertical: {self.axes[1]}. {'; '.join(texts)}."


def _finite(value: float) -> list[float]:
    return [value] if math.isfinite(value) else []


def _labelled(point: Point, x: float, y: float, box: Box | None) -> list[Markup]:
    if box is None:
        return []
    left, top, right, bottom = box
    middle = (top + bottom) / 2
    near_x = min(max(x, left), right)
    parts = []
    if math.hypot(near_x - x, middle - y) > 12:
        parts.append(svg.line(x, y, near_x, middle, f"leader {point.style.css}"))
    words = svg.text(left, middle, point.label, "start", f"label {point.style.css}")
    return [*parts, words]


def _place_labels(
    frame: Frame,
    places: Sequence[tuple[float, float]],
    labels: Sequence[str],
    lines: Sequence[Box],
) -> list[Box | None]:
    """A box for each label that touches no point, line or other label; None without room."""
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    taken += lines
    boxes: list[Box | None] = [None] * len(labels)
    for index in sorted(range(len(labels)), key=lambda i: (places[i][1], places[i][0], i)):
        for box in _candidates(*places[index], _LETTER * len(labels[index])):
            inside = box[0] >= frame.left and box[2] <= frame.size[0]
            inside = inside and box[1] >= frame.top - 8 and box[3] <= frame.bottom
            if inside and not any(_touch(box, other) for other in taken):
                boxes[index] = box
                taken.append(box)
                break
    return boxes


def _candidates(x: float, y: float, width: float) -> Iterator[Box]:
    """Boxes around a point, the nearest first."""
    for reach in (9.0, 20.0, 34.0, 50.0, 70.0, 95.0, 125.0, 160.0, 200.0):
        for angle in (0, 180, 315, 45, 225, 135, 270, 90, 337, 23, 203, 157):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + reach * dx - (0 if dx > 0.1 else width if dx < -0.1 else width / 2)
            middle = y + reach * dy
            yield left, middle - _HIGH / 2, left + width, middle + _HIGH / 2


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
