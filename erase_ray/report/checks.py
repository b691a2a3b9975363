"""What a reader must know before comparing numbers, and what is missing."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from erase_ray.metrics import METRICS
from erase_ray.report.panels import Panel
from erase_ray.report.read import CellInfo, distinct

_SHOWN = 3

_Group = tuple[str, str, str, int, str]


def warnings(panels: Sequence[Panel]) -> list[str]:
    """Reasons why numbers that stand side by side must not be compared; empty if all is well."""
    return [*_hash_warnings(panels), *_device_warnings(panels), *_idle_warnings(panels)]


def gaps(cells: Sequence[CellInfo]) -> list[CellInfo]:
    """Cells without numbers: never run, failed, or unreadable."""
    return [c for c in cells if not c.done and (c.is_measured or not c.settings or c.error)]


def gap_line(cells: Sequence[CellInfo]) -> str:
    """One line about the cells without numbers; empty if there are none."""
    missing, asked = gaps(cells), [c for c in cells if c.is_measured or not c.settings]
    if not missing:
        return ""
    names = ", ".join(cell.label for cell in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"{len(missing)} of {len(asked)} cells missing or failed: {names}{more}"


def _hash_warnings(panels: Sequence[Panel]) -> list[str]:
    """Models of one dataset, scenario and seed must have been asked the same questions."""
    asked: dict[_Group, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for panel in panels:
        for series in panel.series:
            for cell in series.cells:
                for rows, test_hash in _hashes(cell):
                    group = (panel.dataset, panel.scenario, cell.settings["seed"], rows)
                    asked[(_same(panel, cell), *group)][test_hash].add(
                        f"{panel.model}/{series.name}"
                    )
    return [
        _hash_text(group, by_hash) for group, by_hash in sorted(asked.items()) if len(by_hash) > 1
    ]


def _same(panel: Panel, cell: CellInfo) -> str:
    parts = [panel.settings["dataset"], panel.settings["scenario"], cell.facts.get("task")]
    return json.dumps(parts, sort_keys=True)


def _hashes(cell: CellInfo) -> set[tuple[str, str]]:
    if not cell.done:
        return set()
    results = cell.tables["results"]
    pairs = set(zip(results["metric"].tolist(), results["test_hash"].tolist(), strict=True))
    return {(_rows(metric), test_hash) for metric, test_hash in pairs}


@cache  # looking names up reads what is installed
def _rows(metric: str) -> str:
    """Which rows a metric looks at; groups are named behind a dot."""
    name = metric.partition(".")[0]
    asks = METRICS.get(name).asks if name in METRICS.names() else "test"
    return "requesters" if asks == "probe" else "test rows"


def _hash_text(group: _Group, by_hash: dict[str, set[str]]) -> str:
    _, dataset, scenario, seed, rows = group
    parts = sorted(f"{', '.join(sorted(who))} ({key[:8]})" for key, who in by_hash.items())
    return (
        f"{dataset}, {scenario}, seed {seed}: the {rows} differ, so these numbers are not "
        f"comparable: {' | '.join(parts)}"
    )


def _device_warnings(panels: Sequence[Panel]) -> list[str]:
    found = []
    for panel in panels:
        devices = distinct(panel.cells, lambda cell: cell.facts.get("device"))
        if len(devices) > 1:
            found.append(
                f"{panel.title}: cells ran on different devices ({', '.join(devices)}), "
                "so their seconds are not comparable"
            )
    return found


def _idle_warnings(panels: Sequence[Panel]) -> list[str]:
    """Cells in which nothing was applied; for a retraining, this means an untrained model."""
    found = []
    for panel in panels:
        for cell in panel.cells:
            statuses = cell.tables["requests"]["status"].tolist() if cell.done else []
            if statuses and "applied" not in statuses:
                found.append(
                    f"{panel.title}: {cell.label} applied none of its {len(statuses)} requests, "
                    "so its numbers are those of the model it started from"
                )
    return found
