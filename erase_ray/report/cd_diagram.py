"""The critical-difference diagram: mean ranks on a line, bars over what cannot be told apart.

Source: Demšar: "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.numbers import short
from erase_ray.report.statistics.ranking import CriticalDifference

_WIDTH, _LETTER, _GUTTER = 620.0, 9.0, 66.0
_SCALE, _AXIS, _ROW, _BAR, _TICK = 24.0, 62.0, 19.0, 8.0, 5.0


@dataclass(frozen=True)
class CriticalDifferenceDiagram:
    """Methods by mean rank, best at the left.

    Args:
        id: Unique in the page.
        title: What is ranked.
        result: Mean ranks with their groups.
    """

    id: str
    title: str
    result: CriticalDifference

    def draw(self) -> Markup:
        """The diagram; empty if there are no ranks."""
        if not math.isfinite(self.result.distance):
            return Markup("")
        axis = _Axis(self._ranks())
        first_row = _AXIS + 10 + _BAR * (len(self.result.groups) + 1)
        parts = [
            *axis.draw(),
            *axis.scale(self.result.distance),
            *axis.bars(self._group_ranks()),
            *axis.names(first_row),
        ]
        height = first_row + _ROW * axis.num_rows
        return svg.drawing(self.id, (_WIDTH, height), self.title, self.description(), *parts)

    def description(self) -> str:
        """The diagram in words."""
        result, test = self.result, self.result.friedman
        ranks = ", ".join(f"{name} {rank:.2f}" for name, rank in result.mean_ranks.items())
        return " ".join(
            [
                f"Mean ranks over {test.num_blocks} blocks, 1 is best: {ranks}.",
                _friedman_text(test.p_value, test.reason),
                f"Critical difference {result.distance:.2f} at level {result.alpha:g}.",
                _groups_text(result.groups),
                f"Left out, as a method is missing: {', '.join(test.dropped)}."
                if test.dropped
                else "",
            ]
        ).strip()

    def _group_ranks(self) -> list[tuple[float, float]]:
        ranks = dict(self._ranks())
        return [(ranks[group[0]], ranks[group[-1]]) for group in self.result.groups]

    def _ranks(self) -> list[tuple[str, float]]:
        ranks = self.result.mean_ranks
        return list(zip(ranks.index.astype(str), ranks.tolist(), strict=True))


def _friedman_text(p_value: float, reason: str) -> str:
    if reason:
        return f"No Friedman test: {reason}."
    shown = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"Friedman test: {shown}."


def _groups_text(groups: Sequence[Sequence[str]]) -> str:
    if not groups:
        return "All methods differ significantly."
    texts = "; ".join(", ".join(group) for group in groups)
    return f"Not significantly different: {texts}."


class _Axis:
    """From ranks to places; the better half of the names stands at the left."""

    def __init__(self, ranks: Sequence[tuple[str, float]]) -> None:
        self.ranks = ranks
        self.num_left = (len(ranks) + 1) // 2
        self.num_rows = self.num_left
        room = _GUTTER + _LETTER * max(len(short(name)) for name, _ in ranks)
        self.left, self.right = room, _WIDTH - room

    def x(self, rank: float) -> float:
        return self.left + (rank - 1) / (len(self.ranks) - 1) * (self.right - self.left)

    def draw(self) -> list[Markup]:
        parts = [svg.line(self.left, _AXIS, self.right, _AXIS, "axis")]
        for place in range(1, len(self.ranks) + 1):
            x = self.x(place)
            parts += [
                svg.line(x, _AXIS - _TICK, x, _AXIS, "axis"),
                svg.text(x, _AXIS - _TICK - 9, str(place), "middle", "tick"),
            ]
        return parts

    def scale(self, distance: float) -> list[Markup]:
        """The critical difference as a length, as far as the axis is long."""
        end = min(self.x(1 + distance), self.right)
        ends = [svg.line(x, _SCALE - _TICK, x, _SCALE + _TICK, "axis") for x in (self.left, end)]
        label = f"critical difference {distance:.2f}"
        return [
            svg.line(self.left, _SCALE, end, _SCALE, "axis"),
            *(ends if end < self.right else ends[:1]),
            svg.text(self.left, _SCALE - 13, label, "start", "tick"),
        ]

    def bars(self, spans: Sequence[tuple[float, float]]) -> list[Markup]:
        """One thick line a group, below the axis."""
        parts = []
        for row, (low, high) in enumerate(spans):
            y = _AXIS + 4 + _BAR * (row + 1)
            parts.append(svg.line(self.x(low) - 3, y, self.x(high) + 3, y, "bar"))
        return parts

    def names(self, first_row: float) -> list[Markup]:
        """The methods, each joined to its place on the axis; lines of one side never cross."""
        parts = []
        for place, (name, rank) in enumerate(self.ranks):
            is_left = place < self.num_left
            row = place if is_left else len(self.ranks) - 1 - place
            side = self.left - 12 if is_left else self.right + 12
            x, y = self.x(rank), first_row + _ROW * (row + 0.5)
            label = f"{short(name)} {rank:.2f}" if is_left else f"{rank:.2f} {short(name)}"
            anchor, gap = ("end", -4) if is_left else ("start", 4)
            parts += [
                svg.path([(x, _AXIS), (x, y), (side, y)], "joint"),
                svg.text(side + gap, y, label, anchor),
            ]
        return parts
