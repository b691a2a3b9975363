"""Finished cells of a store: those of a run, and those that ``--only key=value`` names."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from erase_ray.errors import SettingsError, StoreError
from erase_ray.experiment._hints import hint
from erase_ray.report import choose
from erase_ray.report.read import CellInfo
from erase_ray.scenarios._base import NUM_MARKS

_READERS = 16
_PARTS = ("dataset", "model", "scenario", "method", "audit")

Scalar = str | int | float | bool


class Catalogue(Protocol):
    """What choosing asks of a store."""

    @property
    def uri(self) -> str:
        """The address for people."""
        ...

    def done_cells(self) -> set[str]:
        """Keys of all committed cells."""
        ...

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of a cell."""
        ...

    def settings(self, key: str) -> dict[str, Any]:
        """The resolved settings of a cell."""
        ...

    def runs(self) -> list[str]:
        """Names of all runs."""
        ...

    def get_run(self, run: str, name: str) -> str | None:
        """A text file of a run."""
        ...


FIELDS: dict[str, Callable[[CellInfo], Any]] = {
    **choose.FIELDS,
    "audit": lambda cell: cell.audit,
}
"""What may stand on the left of ``=``. A cell that serves a whole chain has every mark."""


def stored_cells(
    store: Catalogue, run: str = "", only: str = "", strict: bool = True
) -> list[CellInfo]:
    """Finished cells with settings and manifest and without tables, sorted by label and key.

    Args:
        store: Where they are.
        run: Name of a run; its plan says which cells are meant. All of the store without one.
        only: ``key=value|value,key=value``; the keys are those of ``FIELDS``.
        strict: Refuse values that no cell has.

    Raises:
        StoreError: There is no such run, or a manifest or settings file is damaged.
        SettingsError: ``only`` names an unknown key, or a value that no cell has.
    """
    keys = store.done_cells()
    if run:
        keys &= planned_keys(store, run)

    def read(key: str) -> CellInfo:
        return CellInfo(key, store.settings(key), store.manifest(key))

    with ThreadPoolExecutor(_READERS) as pool:
        cells = list(pool.map(read, sorted(keys)))
    return sorted(_select(cells, only, strict), key=lambda cell: (name_of(cell), cell.key))


def asked_marks(only: str) -> tuple[int, ...]:
    """The marks that ``only`` names; all of them if it names none.

    Raises:
        SettingsError: ``only`` names an unknown key, or a mark that is none.
    """
    known = range(1, NUM_MARKS + 1)
    asked = [value for key, values in _wanted(only) if key == "mark" for value in values]
    wrong = [value for value in asked if value not in map(str, known)]
    if wrong:
        raise SettingsError(f"--only mark={wrong[0]}: marks are 1 to {NUM_MARKS}")
    return tuple(sorted({int(value) for value in asked})) or tuple(known)


def name_of(cell: CellInfo) -> str:
    """The label of a finished cell, as it printed it itself."""
    return cell.facts.get("label") or cell.label


def flattened(settings: dict[str, Any]) -> dict[str, Scalar]:
    """Settings of a cell by dotted name; parts by their own, lists as JSON, None left out."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in _PARTS:
            found |= _leaves(name, value)
        elif value:
            found |= {name: value["name"]} | _leaves(name, value["settings"])
    return found


def _leaves(name: str, value: Any) -> dict[str, Scalar]:
    if isinstance(value, dict):
        nested = [_leaves(f"{name}.{key}", inner) for key, inner in value.items()]
        return {key: leaf for leaves in nested for key, leaf in leaves.items()}
    if value is None:
        return {}
    return {name: value if isinstance(value, Scalar) else json.dumps(value)}


def planned_keys(store: Catalogue, run: str) -> set[str]:
    """Keys of all cells in the plan of a run, done or not.

    Raises:
        StoreError: The store has no such run, or it has left no plan.
    """
    text = store.get_run(run, "plan.json")
    if text is None:
        runs = store.runs()
        known = f"has the runs {', '.join(runs)}" if runs else "has no runs"
        raise StoreError(f"no plan of a run '{run}'{hint(run, runs)}; {store.uri} {known}")
    return {node["key"] for node in json.loads(text)["nodes"]}


def _select(cells: list[CellInfo], only: str, strict: bool) -> list[CellInfo]:
    left = cells
    for key, values in _wanted(only):
        known = _known(key, cells)
        for value in values:
            if strict and value not in known:
                raise SettingsError(
                    f"--only {key}={value}: no finished cell has this {key}{hint(value, known)}. "
                    f"The store has: {', '.join(known) or 'none'}"
                )
        left = [cell for cell in left if _value(key, cell) in (None, *values)]
    return left


def _wanted(only: str) -> Iterable[tuple[str, list[str]]]:
    for text in filter(None, (piece.strip() for piece in only.split(","))):
        key, equals, values = text.partition("=")
        if key not in FIELDS or not equals:
            raise SettingsError(
                f"--only {text}: expected key=value with a key of {', '.join(FIELDS)}"
            )
        yield key, values.split("|")


def _value(key: str, cell: CellInfo) -> str | None:
    value = FIELDS[key](cell)
    return None if value is None else str(value)


def _known(key: str, cells: list[CellInfo]) -> list[str]:
    if key == "mark":
        return [str(mark) for mark in range(1, NUM_MARKS + 1)]
    return sorted({str(FIELDS[key](cell)) for cell in cells} - {"", "None"})
