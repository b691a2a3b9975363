"""A small picture of a prepared dataset: popularity, lengths and categories."""

import io
from html import escape
from pathlib import PurePosixPath

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from erase_ray.data.description import Description
from erase_ray.errors import SettingsError
from erase_ray.report.data_text import data_text
from erase_ray.report.output import write_file

_COLOUR, _SECOND = "#2a6f97", "#c8553d"
_NUM_BINS, _LOG_ABOVE = 30, 20
_SUFFIXES = (".png", ".html")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif; margin: 2em; }} svg {{ max-width: 100%; }}</style></head>
<body><h1>{title}</h1>
{drawing}
<pre>{text}</pre>
</body></html>
"""


def write_data_plot(description: Description, path: str) -> str:
    """Draw ``description`` to a ``.png`` or ``.html`` file and return where it is.

    The same description gives the same bytes on the same machine.

    Raises:
        SettingsError: The name of the file ends otherwise.
        StoreError: The file cannot be written.
    """
    suffix = check_plot_name(path)
    folder, _, name = path.rpartition("/")
    data = _png(description) if suffix == ".png" else _html(description)
    return write_file(folder or ".", name, data)


def check_plot_name(path: str) -> str:
    """The ending of the name of a plot.

    Raises:
        SettingsError: It is neither ``.png`` nor ``.html``.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise SettingsError(f"a plot is a {' or a '.join(_SUFFIXES)} file, got '{path}'")
    return suffix


def _png(description: Description) -> bytes:
    buffer = io.BytesIO()
    _figure(description).savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _html(description: Description) -> bytes:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": description.dataset, "svg.fonttype": "none"}):
        _figure(description).savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue().partition("<svg")
    title = f"{description.dataset} ({description.task})"
    return _PAGE.format(
        title=escape(title),
        drawing=drawing[1] + drawing[2],
        text=escape(data_text(description)),
    ).encode()


def _figure(description: Description) -> Figure:
    num_panels = 1 + len(description.lengths) + bool(description.categories)
    figure = Figure(figsize=(3.4 * num_panels, 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, num_panels))
    _popularity(panels[0], description.popularity)
    for panel, (kind, lengths) in zip(panels[1:], description.lengths.items(), strict=False):
        _histogram(panel, kind, lengths)
    if description.categories:
        _categories(panels[-1], description)
    return figure


def _popularity(panel: Axes, popularity: np.ndarray) -> None:
    rank = np.arange(1, len(popularity) + 1)
    panel.loglog(rank, np.maximum(popularity, 0.5), color=_COLOUR)
    panel.set(title="popularity", xlabel="rank of the item", ylabel="interactions")


def _histogram(panel: Axes, kind: str, lengths: np.ndarray) -> None:
    shown = lengths[lengths > 0]
    low, high = (int(shown.min()), int(shown.max())) if len(shown) else (1, 1)
    is_wide = high > _LOG_ABOVE * low
    space = np.geomspace if is_wide else np.linspace
    edges = np.unique(space(low, high + 1, min(_NUM_BINS, high - low + 2)).astype(np.int64))
    panel.hist(shown, bins=edges.tolist(), color=_COLOUR)
    scale = "log" if is_wide else "linear"
    panel.set(title=kind, xlabel=kind, ylabel=f"{kind.rpartition(' ')[2]}s", xscale=scale)


def _categories(panel: Axes, description: Description) -> None:
    names = [category.name for category in description.categories]
    place, sizes, categories = np.arange(len(names)), description.sizes, description.categories
    items = [100 * category.num_items / sizes["items"] for category in categories]
    rows = [100 * category.num_rows / sizes["interactions"] for category in categories]
    panel.barh(place - 0.2, items, height=0.38, color=_COLOUR, label="items")
    panel.barh(place + 0.2, rows, height=0.38, color=_SECOND, label="rows")
    panel.set(title="sensitive categories", xlabel="percent", yticks=place, yticklabels=names)
    panel.invert_yaxis()
    panel.set_xlim(0, 1.4 * max([*items, *rows, 1e-9]))  # room for the legend
    panel.legend(frameon=False, loc="upper right")
