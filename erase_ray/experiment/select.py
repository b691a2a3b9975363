"""Keep some cells of a grid: ``dataset=dunnhumby,method=scif|seif``."""

from collections.abc import Callable

from erase_ray.errors import GridError, SettingsError
from erase_ray.experiment._hints import hint
from erase_ray.experiment.cell import Cell
from erase_ray.models import MODELS
from erase_ray.scenarios._base import NUM_MARKS

FIELDS: dict[str, Callable[[Cell], object]] = {
    "dataset": lambda cell: cell.dataset.name,
    "model": lambda cell: cell.model.name,
    "method": lambda cell: cell.method.title,
    "scenario": lambda cell: cell.scenario.title if cell.scenario else "",
    "category": lambda cell: cell.scenario.settings.get("category", "") if cell.scenario else "",
    "fraction": lambda cell: _fraction(cell),
    "seed": lambda cell: cell.seed,
    "task": lambda cell: MODELS.get(cell.model.name).task,
    "mark": lambda cell: cell.mark,
    "audit": lambda cell: cell.audit.name if cell.audit else "none",
}
"""What may stand on the left of ``=``. A cell that serves a whole chain has every mark."""


def select(cells: list[Cell], only: str) -> list[Cell]:
    """The cells that match every ``key=value`` of ``only``; ``|`` stands between several values.

    Raises:
        SettingsError: A key is unknown or a text is not ``key=value``.
        GridError: A value that no cell has, or a combination that leaves no cell.
    """
    left = cells
    for key, values in _wanted(only):
        known = _known(key, cells)
        for value in values:
            if value not in known:
                raise GridError(
                    f"--only {key}={value}: no cell has this {key}{hint(value, known)}. "
                    f"The grid has: {', '.join(known)}"
                )
        left = [cell for cell in left if _value(key, cell) in (None, *values)]
    if not left:
        raise GridError(f"--only {only} leaves no cell" if only else "the grid has no cells")
    return left


def _fraction(cell: Cell) -> object:
    if cell.scenario is None:
        return ""
    settings = cell.scenario.settings
    return settings.get("fraction", settings.get("ratio", ""))


def _wanted(only: str) -> list[tuple[str, list[str]]]:
    wanted = []
    for text in filter(None, (part.strip() for part in only.split(","))):
        key, equals, values = text.partition("=")
        key = key.strip()
        if not equals:
            raise SettingsError(f"--only expects key=value, got '{text}'")
        if key not in FIELDS:
            known = ", ".join(FIELDS)
            raise SettingsError(
                f"--only {text}: there is no key '{key}'{hint(key, FIELDS)}. Known: {known}"
            )
        wanted.append((key, [value.strip() for value in values.split("|")]))
    return wanted


def _value(key: str, cell: Cell) -> str | None:
    value = FIELDS[key](cell)
    return None if value is None else str(value)


def _known(key: str, cells: list[Cell]) -> list[str]:
    if key == "mark":
        return [str(mark) for mark in range(1, NUM_MARKS + 1)]
    return sorted({str(FIELDS[key](cell)) for cell in cells})
