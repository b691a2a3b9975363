"""The chart of a metric over the marks, one line a method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.measured import MARKS, Stat
from erase_ray.report.numbers import MISSING, percent, plain, short

X_LABELS = tuple(f"{100 * mark // len(MARKS)} %" for mark in MARKS)

MIN_SEEDS = 3
"""From so many seeds on, a band shows the interval of the mean; below, lines show the spread."""

_WIDTH, _HEIGHT = 400.0, 262.0
_TOP, _BOTTOM = 14.0, 44.0
_LETTER, _LABEL_GAP = 8.0, 16.0


@dataclass(frozen=True)
class Style:
    """How a series looks: a class for its colour, a dash pattern, and the shape of its marks."""

    css: str
    dash: str | None
    shape: int
    radius: float = 4.5


@dataclass(frozen=True)
class Line:
    """A series of a chart, one value a mark."""

    name: str
    style: Style
    stats: Sequence[Stat | None]


@dataclass(frozen=True)
class LineChart:
    """A metric over the marks.

    Args:
        id: Unique in the page.
        title: What is drawn.
        lines: References first; they are drawn on top, in dashes that show what is below.
        is_share: True to write values in percent.
    """

    id: str
    title: str
    lines: Sequence[Line]
    is_share: bool

    def draw(self) -> Markup:
        """The chart; empty if there is no value to draw."""
        values = [end for line in self.lines for stat in line.stats for end in _ends(stat)]
        if not values:
            return Markup("")
        low, high = min(values), max(values)
        if self.is_share:  # spread may reach beyond what a share can be
            low, high = min(max(low, 0.0), 1.0), max(min(high, 1.0), 0.0)
        ticks = svg.ticks(low, high)
        frame = _Frame(ticks, tick_labels(ticks, self.is_share), self._gutter())
        parts = [
            *frame.grid(),
            *(part for line in reversed(self.lines) for part in _draw_line(frame, line)),
            *_labels(frame, self.lines),
        ]
        return svg.drawing(self.id, (_WIDTH, _HEIGHT), self.title, self._description(), *parts)

    def _gutter(self) -> float:
        return 16 + _LETTER * max(len(short(line.name)) for line in self.lines)

    def _description(self) -> str:
        series = [
            f"{line.name}: {', '.join(self._text(stat) for stat in line.stats)}"
            for line in self.lines
        ]
        return f"At {', '.join(X_LABELS)} of the requests served. {'; '.join(series)}."

    def _text(self, stat: Stat | None) -> str:
        if stat is None:
            return MISSING
        return f"{percent(stat.mean)} %" if self.is_share else plain(stat.mean)


def tick_labels(ticks: Sequence[float], is_share: bool) -> list[str]:
    """Texts for the ticks of an axis, with the decimals that tell them apart."""
    scale = 100 if is_share else 1
    decimals = max(
        len(f"{round(tick * scale, 9):.9f}".rstrip("0").partition(".")[2]) for tick in ticks
    )
    return [f"{tick * scale:.{decimals}f}{' %' if is_share else ''}" for tick in ticks]


class _Frame:
    """The plot area: from values to places."""

    def __init__(self, ticks: list[float], labels: list[str], gutter: float) -> None:
        self.ticks, self.labels = ticks, labels
        self.left, self.right = 12 + _LETTER * max(map(len, labels)), _WIDTH - gutter
        self.top, self.bottom = _TOP, _HEIGHT - _BOTTOM

    def x(self, place: int) -> float:
        inset = 12
        step = (self.right - self.left - 2 * inset) / (len(MARKS) - 1)
        return self.left + inset + place * step

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        inside = min(max(value, low), high)
        return self.bottom - (inside - low) / (high - low) * (self.bottom - self.top)

    def grid(self) -> list[Markup]:
        parts = []
        for tick, label in zip(self.ticks, self.labels, strict=True):
            y = self.y(tick)
            parts += [
                svg.line(self.left, y, self.right, y, "grid"),
                svg.text(self.left - 6, y, label, "end", "tick"),
            ]
        for place, label in enumerate(X_LABELS):
            parts.append(svg.text(self.x(place), self.bottom + 14, label, "middle", "tick"))
        middle = (self.left + self.right) / 2
        return [*parts, svg.text(middle, _HEIGHT - 9, "requests served", "middle", "tick")]


def _draw_line(frame: _Frame, line: Line) -> list[Markup]:
    points = [(place, stat) for place, stat in enumerate(line.stats) if _ends(stat)]
    parts: list[Markup] = _band(frame, line)
    for _, run in groupby(enumerate(points), lambda pair: pair[1][0] - pair[0]):
        joined = [(frame.x(place), frame.y(stat.mean)) for _, (place, stat) in run if stat]
        if len(joined) > 1:
            parts.append(svg.path(joined, f"line {line.style.css}", line.style.dash))
    for place, stat in points:
        x = frame.x(place)
        if stat and stat.sd > 0 and stat.count < MIN_SEEDS:
            low, high = frame.y(stat.mean - stat.sd), frame.y(stat.mean + stat.sd)
            parts.append(svg.line(x, low, x, high, f"whisker {line.style.css}"))
        if stat:
            css = f"mark {line.style.css}"
            y = frame.y(stat.mean)
            parts.append(svg.marker(line.style.shape, x, y, css, line.style.radius))
    return parts


def _band(frame: _Frame, line: Line) -> list[Markup]:
    """The 95 % t-interval of the mean over seeds, cut at the plot area."""
    reach = [(p, s.interval()) for p, s in enumerate(line.stats) if s and s.count >= MIN_SEEDS]
    known = [(place, ends) for place, ends in reach if all(map(math.isfinite, ends))]
    if len(known) < 2:
        return []
    low, high = frame.ticks[0], frame.ticks[-1]
    upper = [(frame.x(place), frame.y(min(ends[1], high))) for place, ends in known]
    lower = [(frame.x(place), frame.y(max(ends[0], low))) for place, ends in reversed(known)]
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in [*upper, *lower])
    return [svg.tag("polygon", points=points, class_=f"band {line.style.css}")]


def _labels(frame: _Frame, lines: Sequence[Line]) -> list[Markup]:
    """Names at the right edge, moved apart, each joined to the end of its line."""
    last = [(line, _last(frame, line)) for line in lines]
    shown = [(line, point) for line, point in last if point]
    room = max(frame.bottom, frame.top + _LABEL_GAP * (len(shown) - 1))
    places = svg.spread([y for _, (_, y) in shown], _LABEL_GAP, frame.top, room)
    parts = []
    for (line, (x, y)), place in zip(shown, places, strict=True):
        css = line.style.css
        parts += [
            svg.line(x + 6, y, frame.right + 6, place, f"leader {css}"),
            svg.text(frame.right + 10, place, short(line.name), class_=f"label {css}"),
        ]
    return parts


def _last(frame: _Frame, line: Line) -> tuple[float, float] | None:
    found = [(frame.x(p), frame.y(s.mean)) for p, s in enumerate(line.stats) if s and _ends(s)]
    return found[-1] if found else None


def _ends(stat: Stat | None) -> tuple[float, ...]:
    """Lowest and highest value that is drawn; empty for what cannot be drawn."""
    if stat is None or not math.isfinite(stat.mean):
        return ()
    return (stat.mean - stat.sd, stat.mean + stat.sd)
