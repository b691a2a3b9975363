"""The plot area of a chart: from values to places, with grid and labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg

LETTER = 7.6
"""Width of a letter of a label, about."""


@dataclass(frozen=True)
class Axis:
    """Ticks of an axis; values between the first and the last have a place.

    Args:
        ticks: Ascending.
        labels: One a tick.
        is_log: True where equal factors are equal distances.
    """

    ticks: Sequence[float]
    labels: Sequence[str]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Place of ``value``: 0 at the first tick, 1 at the last; values beyond are moved in."""
        low, high, at = self.ticks[0], self.ticks[-1], value
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, low))
        return min(max((at - low) / (high - low), 0.0), 1.0)


def linear_axis(values: Sequence[float], most: int = 6, unit: str = "") -> Axis:
    """An axis that encloses ``values``; of at least one."""
    ticks = svg.ticks(min(values), max(values), most)
    decimals = max(len(f"{round(t, 9):.9f}".rstrip("0").partition(".")[2]) for t in ticks)
    return Axis(ticks, [f"{tick:,.{decimals}f}{unit}" for tick in ticks])


def log_axis(values: Sequence[float], unit: str = "", most: int = 6) -> Axis:
    """A logarithmic axis that encloses ``values``, all above 0."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = max(1, -(-(high - low) // most))
    ticks = [10.0**power for power in range(low, max(high, low + 1) + step, step)]
    return Axis(ticks, [f"{tick:g}{unit}" for tick in ticks], is_log=True)


@dataclass(frozen=True)
class Frame:
    """Where things are drawn.

    Args:
        x: Horizontal axis.
        y: Vertical axis.
        size: Width and height of the drawing.
        gutter: Room at the right, for labels.
        titles: Of the two axes.
    """

    x: Axis
    y: Axis
    size: tuple[float, float]
    gutter: float
    titles: tuple[str, str]
    top: float = 30.0
    below: float = 44.0

    @property
    def left(self) -> float:
        """Left edge of the plot area."""
        return 14 + LETTER * max(map(len, self.y.labels))

    @property
    def right(self) -> float:
        """Right edge of the plot area."""
        return self.size[0] - self.gutter

    @property
    def bottom(self) -> float:
        """Lower edge of the plot area."""
        return self.size[1] - self.below

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point, 10 away from the edges."""
        width, height = self.right - self.left - 20, self.bottom - self.top - 10
        return self.left + 10 + self.x.share(x) * width, self.bottom - self.y.share(y) * height

    def grid(self) -> list[Markup]:
        """Lines, labels of ticks and the titles of the axes."""
        parts = []
        for tick, label in zip(self.y.ticks, self.y.labels, strict=True):
            _, y = self.at(self.x.ticks[0], tick)
            parts += [
                svg.line(self.left, y, self.right, y, "grid"),
                svg.text(self.left - 6, y, label, "end", "tick"),
            ]
        for tick, label in zip(self.x.ticks, self.x.labels, strict=True):
            x, _ = self.at(tick, self.y.ticks[0])
            parts += [
                svg.line(x, self.bottom, x, self.bottom + 4, "grid"),
                svg.text(x, self.bottom + 14, label, "middle", "tick"),
            ]
        middle = (self.left + self.right) / 2
        return [
            *parts,
            svg.text(middle, self.size[1] - 9, self.titles[0], "middle", "tick"),
            svg.text(4, 10, self.titles[1], "start", "tick"),
        ]
