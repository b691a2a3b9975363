"""Small parts of SVG drawings; colours come from classes, so that the page can go dark."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

SHAPES = 6


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """An element; ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``."""
    texts = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{''.join(texts)}>{inner}</{name}>")


def drawing(
    name: str, size: tuple[float, float], title: str, description: str, *children: str
) -> Markup:
    """An ``svg`` element that scales, with a title and a description for those who listen."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_value(size[0])} {_value(size[1])}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def text(x: float, y: float, words: str, anchor: str = "start", class_: str = "ink") -> Markup:
    """A line of text whose middle is at height ``y``."""
    return tag("text", words, x=x, y=y, dy="0.35em", text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str, dash: str | None = None) -> Markup:
    """Points joined by straight lines."""
    steps = " L".join(f"{_value(x)} {_value(y)}" for x, y in points)
    return tag("path", d=f"M{steps}", class_=class_, stroke_dasharray=dash)


def marker(shape: int, x: float, y: float, class_: str, radius: float = 4.5) -> Markup:
    """One of ``SHAPES`` shapes: circle, square, triangle, diamond, triangle down, cross."""
    if shape % SHAPES == 0:
        return tag("circle", cx=x, cy=y, r=radius, class_=class_)
    r = radius
    corners = (
        [(-r, -r), (r, -r), (r, r), (-r, r)],
        [(0, -1.25 * r), (1.15 * r, r), (-1.15 * r, r)],
        [(0, -1.4 * r), (1.4 * r, 0), (0, 1.4 * r), (-1.4 * r, 0)],
        [(0, 1.25 * r), (1.15 * r, -r), (-1.15 * r, -r)],
        [(-r, -0.4 * r), (-0.4 * r, -0.4 * r), (-0.4 * r, -r), (0.4 * r, -r), (0.4 * r, -0.4 * r),
         (r, -0.4 * r), (r, 0.4 * r), (0.4 * r, 0.4 * r), (0.4 * r, r), (-0.4 * r, r),
         (-0.4 * r, 0.4 * r), (-r, 0.4 * r)],
    )[shape % SHAPES - 1]  # fmt: skip
    points = " ".join(f"{_value(x + dx)},{_value(y + dy)}" for dx, dy in corners)
    return tag("polygon", points=points, class_=class_)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that enclose ``low`` to ``high``, at most about ``most`` of them."""
    if high <= low:
        pad = abs(low) * 0.1 or 0.01
        low, high = low - pad, high + pad
    raw = (high - low) / (most - 1)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near ``wanted`` that are ``gap`` apart and, if there is room, within the bounds."""
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    placed = [0.0] * len(wanted)
    edge = low - gap
    for index in order:
        edge = placed[index] = max(wanted[index], edge + gap)
    edge = high + gap
    for index in reversed(order):
        edge = placed[index] = min(placed[index], edge - gap)
    return placed


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
