"""Keep some cells of a report: ``dataset=dunnhumby,method=scif|seif``."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from erase_ray.errors import SettingsError
from erase_ray.experiment.results import ORIGINAL, RETRAIN
from erase_ray.models import MODELS
from erase_ray.registry import part_title
from erase_ray.report.read import CellInfo

ALWAYS = (ORIGINAL, RETRAIN)
"""Methods that a choice of methods keeps, as everything is compared with them."""

FIELDS: dict[str, Callable[[CellInfo], Any]] = {
    "task": lambda cell: task_of(cell),
    "dataset": lambda cell: cell.settings["dataset"]["name"],
    "model": lambda cell: cell.settings["model"]["name"],
    "method": lambda cell: cell.method,
    "scenario": lambda cell: part_title(**_scenario(cell)) if _scenario(cell) else "",
    "category": lambda cell: _scenario(cell).get("settings", {}).get("category", ""),
    "fraction": lambda cell: _fraction(_scenario(cell).get("settings", {})),
    "seed": lambda cell: cell.settings["seed"],
    "mark": lambda cell: cell.settings.get("mark"),
}
"""What may stand on the left of ``=``. A cell that serves a whole chain has every mark."""


def choose(cells: Iterable[CellInfo], only: str) -> list[CellInfo]:
    """The cells that match every ``key=value`` of ``only``; ``|`` stands between several values.

    Cells whose settings nobody knows match nothing. A choice of methods keeps those in ``ALWAYS``.

    Raises:
        SettingsError: A key is unknown, a text is not ``key=value``, or no cell is left.
    """
    kept = list(cells)
    wanted = parse_only(only)
    for key, values in wanted.items():
        more = ALWAYS if key == "method" else ()
        kept = [cell for cell in kept if _matches(cell, key, [*values, *more])]
        if not any(_matches(cell, key, values) for cell in kept):
            raise SettingsError(f"--only {only} leaves no cell: none has {key}={'|'.join(values)}")
    return kept


def parse_only(only: str) -> dict[str, list[str]]:
    """The values by key.

    Raises:
        SettingsError: A key is unknown or a text is not ``key=value``.
    """
    wanted: dict[str, list[str]] = {}
    for text in filter(None, (part.strip() for part in only.split(","))):
        key, equals, values = (part.strip() for part in text.partition("="))
        if not equals:
            raise SettingsError(f"--only expects key=value, got '{text}'")
        if key not in FIELDS:
            raise SettingsError(f"--only {text}: no key '{key}'. Known: {', '.join(FIELDS)}")
        wanted[key] = [value.strip() for value in values.split("|")]
    return wanted


def task_of(cell: CellInfo) -> str:
    """Task of a cell, also of one that is not done; empty if its model is not known here."""
    if cell.facts.get("task"):
        return str(cell.facts["task"])
    return task_of_model(cell.settings["model"]["name"]) if cell.settings else ""


@cache  # looking names up reads what is installed
def task_of_model(name: str) -> str:
    """Task of a model; empty if it is not known here."""
    return MODELS.get(name).task if name in MODELS.names() else ""


def _scenario(cell: CellInfo) -> dict[str, Any]:
    return cell.settings.get("scenario") or {}


def _fraction(settings: dict[str, Any]) -> Any:
    return settings.get("fraction", settings.get("ratio", ""))


def _matches(cell: CellInfo, key: str, values: Iterable[str]) -> bool:
    if not cell.settings:
        return False
    value = FIELDS[key](cell)
    return value is None or str(value) in values
