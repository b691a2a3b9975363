"""A status as one HTML file that needs nothing else."""

import os
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from erase_ray.report.output import write_file
from erase_ray.report.status import words
from erase_ray.report.status.nodes import Tally
from erase_ray.report.status.standing import RunState, RunStatus

LEAST_S = 5.0
"""A page is loaded anew no more often than this."""
PARTS = ("done", "running", "failed", "blocked", "left")


@dataclass(frozen=True)
class Segment:
    """A part of a bar that is 100 wide."""

    name: str
    start: float
    width: float


def write_status_page(status: RunStatus, path: str, every_s: float | None = None) -> str:
    """Write :func:`status_page` to a file and return its path.

    Raises:
        StoreError: It cannot be written.
    """
    folder, name = os.path.split(path)
    return write_file(folder, name, status_page(status, every_s).encode())


def status_page(status: RunStatus, every_s: float | None = None) -> str:
    """The page as text.

    Args:
        status: What to show.
        every_s: Let the browser load it anew so often; None for a page that stays as it is.
    """
    environment = Environment(
        loader=PackageLoader("erase_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("status.html.j2").render(
        status=status,
        words=words,
        refresh_s=None if every_s is None else round(max(every_s, LEAST_S)),
        is_bad=status.state in (RunState.SILENT, RunState.FAILED),
        facts=_facts(status),
        segments=segments(status.tally),
        segments_of=segments,
        levels=status.levels(),
    )
    return page.lstrip()


def segments(tally: Tally) -> list[Segment]:
    """What a bar shows from left to right; empty parts are left out."""
    found, start = [], 0.0
    for name in PARTS:
        width = 100 * getattr(tally, name) / tally.all if tally.all else 0.0
        if width:
            found.append(Segment(name, round(start, 3), round(width, 3)))
        start += width
    return found


def _facts(status: RunStatus) -> list[tuple[str, str]]:
    updated = "" if status.updated is None else words.clock_text(status.updated)
    facts = [
        ("Storage", status.storage),
        ("Driver", words.driver_text(status)),
        ("Driver last wrote", updated),
        ("This page was made", words.clock_text(status.now)),
        ("Tries", words.again_text(status.again)),
        ("Report", status.page),
    ]
    return [(name, value) for name, value in facts if value]
