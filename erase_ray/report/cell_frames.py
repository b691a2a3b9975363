"""Cells, coverage and failures as typed frames."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from erase_ray.experiment._address import without_secrets
from erase_ray.registry import part_title
from erase_ray.report.choose import task_of, task_of_model
from erase_ray.report.leaderboard import typed
from erase_ray.report.picking import records
from erase_ray.report.read import CellInfo
from erase_ray.report.run_files import Failure

DONE, MISSING, FAILED = "done", "missing", "failed"
STATES = (DONE, MISSING, FAILED)

CELLS = {
    "state": "string",
    "label": "string",
    "task": "string",
    "dataset": "string",
    "model": "string",
    "method": "string",
    "scenario": "string",
    "category": "string",
    "fraction": "float64",
    "seed": "Int64",
    "mark": "Int64",
    "audit": "string",
    "committed": "string",
    "device": "string",
    "versions": "string",
    "test_hash": "string",
    "split_hash": "string",
    "error": "string",
    "grid": "string",
    "key": "string",
}
COVERAGE = {"task": "string", "method": "string", **dict.fromkeys(STATES, "int64")}
FAILURES = {
    "label": "string",
    "kind": "string",
    "error": "string",
    "attempts": "Int64",
    "where": "string",
    "trace": "string",
    "key": "string",
}


def cells_frame(
    cells: Iterable[CellInfo], failed: Iterable[str], blocked: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row a cell that is to hold numbers; columns ``CELLS``.

    Args:
        cells: Finished and missing ones; base and shadow models are left out.
        failed: Keys and labels of those that were given up.
        blocked: What others wait for, by key.
    """
    known, waiting = set(failed), blocked or {}
    asked = [cell for cell in cells if cell.is_measured or not cell.settings]
    rows = [_cell(cell, known, waiting.get(cell.key, "")) for cell in asked]
    return typed(pd.DataFrame(rows, columns=list(CELLS)), CELLS)


def coverage_frame(cells: pd.DataFrame) -> pd.DataFrame:
    """How many cells of each task and method are done, missing and failed."""
    if cells.empty:
        return typed(pd.DataFrame(columns=list(COVERAGE)), COVERAGE)
    named = cells.assign(
        task=cells["task"].replace("", "unknown"),
        method=[_counted_as(row) for row in records(cells)],
    )
    counts = pd.crosstab([named["task"], named["method"]], named["state"])
    counts = counts.reindex(columns=list(STATES), fill_value=0).reset_index()
    return typed(counts, COVERAGE)


def _counted_as(row: dict[str, Any]) -> str:
    """The method, or the audit where there is one."""
    return f"audit {row['audit']}" if row["audit"] else row["method"] or "unknown"


def failures_frame(
    failures: Sequence[Failure], cells: Sequence[CellInfo], done: set[str]
) -> pd.DataFrame:
    """What was given up and is not done, and cells that cannot be read; columns ``FAILURES``."""
    rows = [
        {
            "label": one.label,
            "kind": one.kind,
            "error": without_secrets(one.error),
            "attempts": one.attempts,
            "where": one.where,
            "trace": without_secrets(one.trace),
            "key": one.key,
        }
        for one in failures
        if one.key not in done
    ]
    rows += [
        {"label": cell.label, "kind": "unreadable", "error": cell.error, "key": cell.key}
        for cell in cells
        if cell.error
    ]
    return typed(pd.DataFrame(rows, columns=list(FAILURES)), FAILURES)


def grid_of(settings: dict[str, Any]) -> str:
    """A grid file of one cell, in one line of YAML (which is JSON); empty where there is none.

    The cell that the grid gives has the same key. A method that is served once a mark gives one
    cell for each of them.
    """
    if not settings or settings.get("scenario") is None or settings.get("audit"):
        return ""
    block = {
        "datasets": _choice(settings["dataset"]),
        "models": _choice(settings["model"]),
        "training": settings["training"],
        "scenarios": _choice(settings["scenario"]),
        "methods": _choice(settings["method"]),
        "seeds": [settings["seed"]],
    }
    if settings.get("limit_s") is not None:
        block["limit_s"] = settings["limit_s"]
    return json.dumps({"blocks": [block]}, sort_keys=True)


def _choice(part: dict[str, Any]) -> Any:
    return {part["name"]: part["settings"]} if part["settings"] else part["name"]


def _cell(cell: CellInfo, failed: set[str], waits: str) -> dict[str, Any]:
    state = DONE if cell.done else MISSING
    if not cell.done and (cell.error or {cell.key, cell.label} & failed):
        state = FAILED
    scenario = cell.settings.get("scenario") or {}
    known = scenario.get("settings", {})
    names = _names(cell)
    return names | {
        "state": state,
        "label": cell.label,
        "task": task_of(cell) or task_of_model(names.get("model", "")),
        "scenario": part_title(**scenario) if scenario else "",
        "category": str(cell.facts.get("category") or known.get("category") or ""),
        "fraction": known.get("fraction", known.get("ratio")),
        "audit": cell.audit,
        "committed": str(cell.manifest.get("created", "")),
        "device": str(cell.facts.get("device") or ""),
        "versions": versions(cell),
        "test_hash": str(cell.facts.get("test_hash") or ""),
        "split_hash": str(cell.facts.get("split_hash") or ""),
        "error": cell.error or ("" if cell.done else waits),
        "grid": grid_of(cell.settings),
        "key": cell.key,
    }


def _names(cell: CellInfo) -> dict[str, Any]:
    """Dataset, model, method, seed and mark; from what a plan says where that is all there is."""
    if cell.settings:
        names = {part: cell.settings[part]["name"] for part in ("dataset", "model")}
        return names | {
            "method": cell.method,
            "seed": cell.settings["seed"],
            "mark": cell.settings.get("mark"),
        }
    parts = cell.title.split("/")
    if len(parts) < 4:
        return dict.fromkeys(("dataset", "model", "method"), "")
    method = re.split(r"[@~+]", parts[2])[0]  # a mark, a shadow model and an audit may follow
    return {"dataset": parts[0], "model": parts[1], "method": method}


def versions(cell: CellInfo) -> str:
    """Versions of the packages that a cell was run with."""
    found = cell.manifest.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in found.items())
