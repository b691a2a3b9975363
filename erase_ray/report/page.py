"""The report: one HTML page that needs nothing else, and its tables and figures as files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from erase_ray.experiment._address import without_secrets
from erase_ray.report.blocks import Section, figures_in
from erase_ray.report.cell_frames import versions
from erase_ray.report.checks import gap_line, warnings
from erase_ray.report.evidence import Evidence, gather
from erase_ray.report.numbers import utc
from erase_ray.report.options import Options
from erase_ray.report.output import write_file
from erase_ray.report.pictures import png_file, svg_file
from erase_ray.report.read import distinct
from erase_ray.report.run_files import Failure, RunFiles, kind_of
from erase_ray.report.sections import coverage, sections
from erase_ray.report.table_files import ENDINGS, FIGURE_FORMATS, TABLE_FORMATS, table_file

NAME = "index.html"


@dataclass(frozen=True)
class Written:
    """What a report wrote.

    Args:
        page: Address of the page; empty if it was not asked for.
        tables: Addresses of tables.
        figures: Addresses of figures.
        evidence: What is in them.
    """

    page: str
    tables: tuple[str, ...]
    figures: tuple[str, ...]
    evidence: Evidence


def write_report(
    store: Any,
    keys: Iterable[str],
    out: str,
    *,
    planned: Mapping[str, dict[str, Any]] | None = None,
    failures: Sequence[Mapping[str, Any]] = (),
    command: str = "",
    options: Options | None = None,
    formats: Sequence[str] = ("html",),
    runs: RunFiles | None = None,
) -> str:
    """Write ``index.html``, which works from a file without any network, and return its address.

    The same store, keys and arguments give the same bytes.

    Args:
        store: Read only; cells that are not in it are listed as missing.
        keys: Of the cells to show.
        out: Local folder (made if need be) or any address that fsspec knows.
        planned: Settings (``Cell.model_dump(mode="json")``) by key, to name missing cells.
        failures: ``label`` and ``error`` of cells that failed in this run, ``key`` if it is known.
        command: What to type to get these numbers again.
        options: How methods are judged.
        formats: Of ``table_files.FORMATS``: what to write beside the page.
        runs: Plans and failures, where runs were looked at.

    Raises:
        StoreError: ``out`` cannot be written.
    """
    told = [_failure(each) for each in failures]
    evidence = gather(store, keys, options or Options(), runs=runs, planned=planned, failures=told)
    return write(evidence, out, command=command, formats=("html", *formats)).page


def write(
    evidence: Evidence, out: str, *, command: str = "", formats: Sequence[str] = ("html",)
) -> Written:
    """Write the page, ``tables/`` and ``figures/``, as far as ``formats`` names them.

    Raises:
        StoreError: ``out`` cannot be written.
    """
    base = out.rstrip("/")
    wanted = [kind for kind in TABLE_FORMATS if kind in formats]
    tables = [
        write_file(f"{base}/tables", f"{name}.{ENDINGS[kind]}", table_file(frame, kind))
        for name, frame in evidence.frames.items()
        for kind in wanted
    ]
    parts = sections(evidence, without_secrets(command))
    drawn = [kind for kind in FIGURE_FORMATS if kind in formats]
    figures = [
        write_file(f"{base}/figures", f"{figure.name}.{kind}", _DRAW[kind](str(figure.svg)))
        for part in parts
        for figure in figures_in(part.blocks)
        for kind in drawn
    ]
    page = ""
    if "html" in formats:
        text = render(evidence, parts, formats)
        page = write_file(out, NAME, text.encode())
    return Written(page, tuple(tables), tuple(figures), evidence)


_DRAW = {"svg": svg_file, "png": png_file}


def render(evidence: Evidence, parts: Sequence[Section], formats: Sequence[str] = ()) -> str:
    """The page as text; it links to the files of ``formats``."""
    environment = Environment(
        loader=PackageLoader("erase_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        facts=_facts(evidence),
        has_results=any(cell.done for cell in evidence.cells),
        warnings=warnings(evidence.panels),
        gap=gap_line([cell for cell in evidence.cells if cell.is_measured or not cell.settings]),
        coverage=coverage(evidence),
        sections=parts,
        table_endings=[(kind, ENDINGS[kind]) for kind in TABLE_FORMATS if kind in formats],
        figure_endings=[kind for kind in FIGURE_FORMATS if kind in formats],
    ).lstrip()


def _failure(told: Mapping[str, Any]) -> Failure:
    return Failure(
        key=str(told.get("key", "")),
        label=str(told.get("label", "?")),
        kind=str(told.get("kind") or kind_of(str(told.get("error", "")))),
        error=str(told.get("error", "")),
    )


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    panels, cells = evidence.panels, evidence.frames["cells"]
    done = [cell for cell in evidence.cells if cell.done]
    created = distinct(done, lambda cell: cell.manifest.get("created"))
    seeds = sorted({seed for panel in panels for series in panel.series for seed in series.seeds})
    facts = [
        ("Data", ", ".join(sorted({panel.dataset for panel in panels}))),
        ("Models", ", ".join(sorted({panel.model for panel in panels}))),
        ("Methods", ", ".join(dict.fromkeys(s.name for p in panels for s in p.series))),
        ("Scenarios", ", ".join(sorted({panel.scenario for panel in panels}))),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Cells", f"{list(cells['state']).count('done')} of {len(cells)} done"),
        ("Computed", " to ".join(dict.fromkeys(utc(at) for at in (created[:1] + created[-1:])))),
        ("Runs", ", ".join(evidence.runs.names)),
        ("Last status", _status(evidence.runs)),
        ("Device", ", ".join(distinct(done, lambda cell: cell.facts.get("device")))),
        ("Versions", "; ".join(distinct(done, versions))),
    ]
    return [(name, value) for name, value in facts if value]


def _status(runs: RunFiles) -> str:
    return f"{runs.state}, {utc(runs.updated)}" if runs.state else ""
