"""The chart of models × methods: how far each lies from retraining, with its verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from erase_ray.report import svg
from erase_ray.report.numbers import DASH, MINUS

GLYPHS = {
    "equivalent to retraining": "\u2248",
    "better": "\u25b2",
    "worse": "\u25bc",
    "unknown": "?",
}
"""Signs of the verdicts, so that colour is never all that tells."""
_WIDTH, _ROW, _TOP, _LETTER = 84.0, 30.0, 30.0, 7.6
_STEPS = (0.0, 0.34, 0.67)


@dataclass(frozen=True)
class Field:
    """A field of the map.

    Args:
        value: What is written, such as a difference in percent; NaN for none.
        verdict: One of ``GLYPHS``; empty for none.
        goodness: Above 0 where the value is better than retraining, below 0 where it is worse.
    """

    value: float
    verdict: str = ""
    goodness: float = 0.0


@dataclass(frozen=True)
class HeatMap:
    """Rows are combinations, columns are methods.

    Args:
        id: Unique in the page.
        title: What is shown.
        columns: Names of the methods.
        rows: Name and one field a column.
    """

    id: str
    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Field]]]

    def draw(self) -> Markup:
        """The map; empty without a value."""
        fields = [field for _, row in self.rows for field in row]
        if not any(math.isfinite(field.value) for field in fields):
            return Markup("")
        most = max((abs(f.goodness) for f in fields if math.isfinite(f.goodness)), default=0) or 1
        left = 12 + _LETTER * max(len(name) for name, _ in self.rows)
        size = (left + _WIDTH * len(self.columns) + 8, _TOP + _ROW * len(self.rows) + 8)
        parts = [
            svg.text(left + _WIDTH * (place + 0.5), _TOP - 12, name, "middle", "label")
            for place, name in enumerate(self.columns)
        ]
        for number, (name, row) in enumerate(self.rows):
            y = _TOP + _ROW * (number + 0.5)
            parts.append(svg.text(left - 8, y, name, "end", "label"))
            for place, field in enumerate(row):
                parts += _field(field, left + _WIDTH * place, y, most)
        return svg.drawing(self.id, size, self.title, self._description(), *parts)

    def _description(self) -> str:
        texts = [
            f"{name}: "
            + ", ".join(
                f"{method} {_text(field)} {field.verdict}".strip()
                for method, field in zip(self.columns, row, strict=True)
            )
            for name, row in self.rows
        ]
        return "; ".join(texts)


def _field(field: Field, x: float, y: float, most: float) -> list[Markup]:
    box = {"x": x + 1, "y": y - _ROW / 2 + 1, "width": _WIDTH - 2, "height": _ROW - 2}
    glyph = GLYPHS.get(field.verdict, "")
    words = f"{glyph} {_text(field)}".strip()
    return [
        svg.tag("rect", class_=f"heat {_shade(field, most)}", **box),
        svg.text(x + _WIDTH / 2, y, words, "middle", "ink"),
    ]


def _shade(field: Field, most: float) -> str:
    if not math.isfinite(field.value) or not math.isfinite(field.goodness):
        return "none"
    if field.verdict == "equivalent to retraining":
        return "same"
    step = sum(abs(field.goodness) / most > bound for bound in _STEPS)
    return "same" if step == 0 else f"{'good' if field.goodness > 0 else 'bad'}{step}"


def _text(field: Field) -> str:
    if not math.isfinite(field.value):
        return DASH
    return f"{field.value:+.1f}".replace("-", MINUS)
