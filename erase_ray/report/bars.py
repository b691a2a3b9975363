"""The chart of seconds a request by phase, one row a method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.numbers import short, significant

PHASES = ("seconds_data", "seconds_algorithm", "seconds_save")
PHASE_TITLES = ("data", "algorithm", "saving and measuring")

_WIDTH, _ROW, _TOP, _BOTTOM = 400.0, 34.0, 34.0, 46.0
_LETTER, _LOG_ABOVE = 8.0, 20.0


@dataclass(frozen=True)
class Bar:
    """Mean seconds of a request of one method.

    Args:
        name: Of the method.
        phases: Seconds of each of ``PHASES``.
        request: Seconds of data and algorithm together, which is what is compared.
    """

    name: str
    phases: tuple[float, ...]
    request: float


@dataclass(frozen=True)
class BarChart:
    """Stacked bars; where methods differ too much for that, one mark a phase on a log scale.

    Stacks are never drawn on the log scale, where lengths do not add up.
    """

    id: str
    title: str
    bars: Sequence[Bar]

    @property
    def is_log(self) -> bool:
        """True if the slowest method takes more than 20 times as long as the fastest."""
        totals = [sum(bar.phases) for bar in self.bars if sum(bar.phases) > 0]
        return len(totals) > 1 and max(totals) > _LOG_ABOVE * min(totals)

    def draw(self) -> Markup:
        """The chart; empty without bars or time."""
        if not any(value > 0 for bar in self.bars for value in bar.phases):
            return Markup("")
        rows = _LogRows(self.bars) if self.is_log else _StackedRows(self.bars)
        parts = [*_legend(self.is_log), *rows.axis()]
        for place, bar in enumerate(self.bars):
            parts += rows.row(bar, _TOP + _ROW * (place + 0.5))
        height = _TOP + _ROW * len(self.bars) + _BOTTOM
        return svg.drawing(self.id, (_WIDTH, height), self.title, self._description(), *parts)

    def _description(self) -> str:
        rows = [
            f"{bar.name}: "
            + ", ".join(
                f"{title} {significant(value)} s"
                for title, value in zip(PHASE_TITLES, bar.phases, strict=True)
            )
            for bar in self.bars
        ]
        scale = "Logarithmic scale. " if self.is_log else ""
        return f"{scale}Mean seconds of a request. {'; '.join(rows)}."


class _Rows:
    """What both scales share: the gutters and the axis."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        name, time = (max(len(text(bar)) for bar in bars) for text in (_name, _time))
        self.left, self.right = 14 + _LETTER * name, _WIDTH - 16 - _LETTER * time
        self.bottom = _TOP + _ROW * len(bars)
        self.ticks = self._ticks([value for bar in bars for value in bar.phases], bars)

    def axis(self) -> list[Markup]:
        parts = []
        for tick in self.ticks:
            x = self.x(tick)
            parts += [
                svg.line(x, _TOP, x, self.bottom, "grid"),
                svg.text(x, self.bottom + 14, f"{tick:g}", "middle", "tick"),
            ]
        middle = (self.left + self.right) / 2
        words = f"seconds a request{self.scale}"
        return [*parts, svg.text(middle, self.bottom + 31, words, "middle", "tick")]

    def row(self, bar: Bar, y: float) -> list[Markup]:
        return [
            svg.text(self.left - 8, y, _name(bar), "end", "label"),
            *self.shapes(bar, y),
            svg.text(_WIDTH - 4, y, _time(bar), "end", "ink"),
        ]

    scale = ""

    def x(self, value: float) -> float:
        raise NotImplementedError

    def shapes(self, bar: Bar, y: float) -> list[Markup]:
        raise NotImplementedError

    def _ticks(self, values: list[float], bars: Sequence[Bar]) -> list[float]:
        raise NotImplementedError


class _StackedRows(_Rows):
    def x(self, value: float) -> float:
        return self.left + value / self.ticks[-1] * (self.right - self.left)

    def shapes(self, bar: Bar, y: float) -> list[Markup]:
        parts, done = [], 0.0
        for number, value in enumerate(bar.phases):
            start, end = self.x(done), self.x(done + value)
            if end - start > 0.2:
                box = {"x": start, "y": y - 9, "width": end - start, "height": 18}
                parts.append(svg.tag("rect", class_=f"mark ph{number}", **box))
            done += value
        return parts

    def _ticks(self, values: list[float], bars: Sequence[Bar]) -> list[float]:
        return svg.ticks(0.0, max(sum(bar.phases) for bar in bars))


class _LogRows(_Rows):
    scale = ", log scale"

    def x(self, value: float) -> float:
        low, high = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        return self.left + (math.log10(value) - low) / (high - low) * (self.right - self.left)

    def shapes(self, bar: Bar, y: float) -> list[Markup]:
        parts = [svg.line(self.left, y, self.right, y, "grid")]
        for number, value in enumerate(bar.phases):
            if value > 0:
                parts.append(svg.marker(number, self.x(value), y, f"mark ph{number}", 5.5))
        return parts

    def _ticks(self, values: list[float], bars: Sequence[Bar]) -> list[float]:
        sizes = [math.log10(value) for value in values if value > 0]
        low, high = math.floor(min(sizes)), math.ceil(max(sizes))
        step = max(1, -(-(high - low) // 6))
        return [10.0**power for power in range(low, max(high, low + 1) + step, step)]


def _name(bar: Bar) -> str:
    return short(bar.name)


def _time(bar: Bar) -> str:
    return f"{significant(bar.request)} s"


def _legend(is_log: bool) -> list[Markup]:
    parts, x = [], 4.0
    for number, title in enumerate(PHASE_TITLES):
        shape = number if is_log else 1
        parts.append(svg.marker(shape, x + 6, 12, f"mark ph{number}", 5.5))
        parts.append(svg.text(x + 18, 12, title, class_="tick"))
        x += 34 + 7.2 * len(title)
    return parts
