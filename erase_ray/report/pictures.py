"""Charts as files: SVG that stands alone, and the same drawing as PNG."""

import io
from typing import Any
from xml.etree import ElementTree

from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from erase_ray.report.look import look_of, palette, plain_css

_NAMESPACE = "{http://www.w3.org/2000/svg}"
_DPI = 144
_PX = 72 / 96
"""Points of a pixel."""
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}
_FONT = "system-ui, 'DejaVu Sans', sans-serif"


def svg_file(drawing: str) -> bytes:
    """A drawing of the page as an SVG file, on white, with its colours in it."""
    style = f"<style>text {{ font-family: {_FONT}; }}\n{plain_css()}</style>"
    width, height = _size(drawing)
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{palette()["--card"]}"/>'
    head, _, rest = drawing.partition(">")
    sized = head.replace("<svg", f'<svg width="{width:g}" height="{height:g}"', 1)
    return f"{sized}>{style}{paper}{rest}\n".encode()


def png_file(drawing: str) -> bytes:
    """A drawing of the page as a PNG file, redrawn element by element; the same bytes each time."""
    width, height = _size(drawing)
    figure = Figure(figsize=(width / 96, height / 96), facecolor=palette()["--card"])
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for order, element in enumerate(ElementTree.fromstring(drawing)):
        draw = _DRAW.get(element.tag.removeprefix(_NAMESPACE))
        if draw:
            draw(axes, element, order)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _size(drawing: str) -> tuple[float, float]:
    box = drawing.partition('viewBox="')[2].partition('"')[0].split()
    return float(box[2]), float(box[3])


def _look(element: ElementTree.Element) -> dict[str, str]:
    return look_of(element.tag.removeprefix(_NAMESPACE), element.get("class", ""))


def _number(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.get(name, "0")) for name in names]


def _outline(look: dict[str, str]) -> dict[str, Any]:
    return {
        "facecolor": look.get("fill", "none"),
        "edgecolor": look.get("stroke", "none"),
        "linewidth": float(look.get("stroke-width", "1")) * _PX,
        "alpha": float(look.get("opacity", "1")),
    }


def _line(axes, element, order) -> None:
    x1, y1, x2, y2 = _number(element, "x1", "y1", "x2", "y2")
    _stroke(axes, element, [(x1, y1), (x2, y2)], order)


def _path(axes, element, order) -> None:
    steps = element.get("d", "").removeprefix("M").split(" L")
    points = [(float(x), float(y)) for x, y in (step.split() for step in steps)]
    _stroke(axes, element, points, order)


def _stroke(axes, element, points, order) -> None:
    look = _look(element)
    width = float(look.get("stroke-width", "1"))
    dash = element.get("stroke-dasharray") or look.get("stroke-dasharray")
    style = (0, [float(part) / width for part in dash.split()]) if dash else "solid"
    axes.plot(
        *zip(*points, strict=True),
        color=look.get("stroke", "none"),
        linewidth=width * _PX,
        linestyle=style,
        alpha=float(look.get("opacity", "1")),
        zorder=order,
    )


def _circle(axes, element, order) -> None:
    x, y, radius = _number(element, "cx", "cy", "r")
    axes.add_patch(Circle((x, y), radius, zorder=order, **_outline(_look(element))))


def _polygon(axes, element, order) -> None:
    pairs = (pair.split(",") for pair in element.get("points", "").split())
    points = [(float(x), float(y)) for x, y in pairs]
    axes.add_patch(Polygon(points, closed=True, zorder=order, **_outline(_look(element))))


def _rect(axes, element, order) -> None:
    x, y, width, height = _number(element, "x", "y", "width", "height")
    look = _look(element)
    axes.add_patch(Rectangle((x, y), width, height, zorder=order, **_outline(look)))


def _text(axes, element, order) -> None:
    x, y = _number(element, "x", "y")
    look = _look(element)
    axes.text(
        x,
        y,
        (element.text or "").replace("$", r"\$"),
        ha=_ANCHORS[element.get("text-anchor", "start")],
        va="center",
        color=look.get("fill"),
        fontsize=float(look.get("font-size", "13px").removesuffix("px")) * _PX,
        zorder=order,
    )


_DRAW = {
    "line": _line,
    "path": _path,
    "circle": _circle,
    "polygon": _polygon,
    "rect": _rect,
    "text": _text,
}
