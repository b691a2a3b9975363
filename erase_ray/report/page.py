"""The report page: one HTML file that needs nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from erase_ray.experiment._address import without_secrets
from erase_ray.report.checks import gap_line, gaps, warnings
from erase_ray.report.figures import figures_of, styles_of
from erase_ray.report.numbers import utc
from erase_ray.report.output import write_file
from erase_ray.report.panels import Panel, flat, make_panels
from erase_ray.report.read import CellInfo, Shelf, distinct, read_cells
from erase_ray.report.sheets import cell_sheet, first_reasons, outcome_sheet, summary_sheet

NAME = "index.html"


def write_report(
    store: Shelf,
    keys: Iterable[str],
    out: str,
    *,
    planned: Mapping[str, dict[str, Any]] | None = None,
    failures: Sequence[Mapping[str, Any]] = (),
    command: str = "",
) -> str:
    """Write ``index.html``, which works from a file without any network, and return its address.

    The same store, keys and arguments give the same bytes.

    Args:
        store: Read only; cells that are not in it are listed as missing.
        keys: Of the cells to show.
        out: Local folder (made if need be) or any address that fsspec knows.
        planned: Settings (``Cell.model_dump(mode="json")``) by key, to name missing cells.
        failures: ``label`` and ``error`` of cells that failed in this run.
        command: What to type to get these numbers again.

    Raises:
        StoreError: ``out`` cannot be written.
    """
    cells = read_cells(store, keys, planned)
    page = render(cells, failures, command)
    return write_file(out, NAME, page.encode())


def render(
    cells: Sequence[CellInfo], failures: Sequence[Mapping[str, Any]] = (), command: str = ""
) -> str:
    """The page as text."""
    panels = make_panels(cells)
    environment = Environment(
        loader=PackageLoader("erase_ray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    styles = styles_of(panels)
    return (
        environment.get_template("report.html.j2")
        .render(
            facts=_facts(cells, panels),
            has_results=any(cell.done for panel in panels for cell in panel.cells),
            warnings=warnings(panels),
            summary=summary_sheet(panels),
            variants=sorted({(s.name, s.variant) for p in panels for s in p.series if s.variant}),
            panels=[_panel(panel, styles) for panel in panels],
            failures=_failures(cells, failures),
            gap=gap_line(cells),
            provenance=cell_sheet(cells),
            command=without_secrets(command),
        )
        .lstrip()
    )


def _panel(panel: Panel, styles: dict[str, Any]) -> dict[str, Any]:
    measured = [cell for cell in panel.cells if cell.done]
    requests = distinct(measured, lambda cell: cell.facts.get("num_requests"))
    tasks = distinct(measured, lambda cell: cell.facts.get("task"))
    return {
        "id": panel.id,
        "title": panel.title,
        "facts": [
            ("task", ", ".join(tasks)),
            ("scenario", panel.scenario),
            ("requests", ", ".join(requests)),
            ("test queries", ", ".join(_counts(measured, "num_test_queries"))),
            ("requesters probed", ", ".join(_counts(measured, "num_probe_queries"))),
        ],
        "figures": figures_of(panel, styles),
        "outcomes": outcome_sheet(panel),
        "reasons": first_reasons(panel),
        "settings": _settings(panel),
    }


def _counts(cells: Sequence[CellInfo], fact: str) -> list[str]:
    return distinct(cells, lambda cell: cell.facts.get(fact))


def _settings(panel: Panel) -> list[tuple[str, str]]:
    """Every setting behind a panel as pairs of a heading and one line."""
    parts = [(name, part) for name, part in panel.settings.items() if part]
    parts += [(series.name, series.cells[0].settings["method"]) for series in panel.series]
    return [(name, _one_line(part)) for name, part in parts]


def _one_line(part: dict[str, Any]) -> str:
    pairs = (
        (key.removeprefix("settings.").removeprefix("settings"), value)
        for key, value in sorted(flat(part).items())
        if key != "name"
    )
    texts = [f"{key} = {value}" for key, value in pairs if key]
    return ", ".join(texts) or "no settings"


def _failures(
    cells: Sequence[CellInfo], failures: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """What went wrong first, then cells that are merely not there."""
    told = [
        {"label": str(each.get("label", "?")), "error": without_secrets(str(each.get("error", "")))}
        for each in failures
    ]
    labels = {each["label"] for each in told}
    return told + [
        {"label": cell.label, "error": cell.error or "not in the store: not run yet, or failed"}
        for cell in gaps(cells)
        if cell.label not in labels
    ]


def _facts(cells: Sequence[CellInfo], panels: Sequence[Panel]) -> list[tuple[str, str]]:
    done = [cell for cell in cells if cell.done]
    created = distinct(done, lambda cell: cell.manifest.get("created"))
    facts = [
        ("Data", ", ".join(sorted({panel.dataset for panel in panels}))),
        ("Models", ", ".join(sorted({panel.model for panel in panels}))),
        ("Methods", ", ".join(dict.fromkeys(s.name for p in panels for s in p.series))),
        ("Scenarios", ", ".join(sorted({panel.scenario for panel in panels}))),
        (
            "Seeds",
            ", ".join(map(str, sorted({n for p in panels for s in p.series for n in s.seeds}))),
        ),
        ("Cells", f"{len(done)} of {len(cells)} done"),
        ("Computed", " to ".join(dict.fromkeys(utc(at) for at in (created[:1] + created[-1:])))),
        ("Device", ", ".join(distinct(done, lambda cell: cell.facts.get("device")))),
        ("Versions", "; ".join(distinct(done, _versions))),
    ]
    return [(name, value) for name, value in facts if value]


def _versions(cell: CellInfo) -> str:
    return ", ".join(f"{name} {version}" for name, version in cell.manifest["versions"].items())
