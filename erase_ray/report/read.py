"""The cells of a report, read from the store."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import pandas as pd

from erase_ray.errors import EraseError
from erase_ray.experiment._address import without_secrets
from erase_ray.experiment.results import BASE
from erase_ray.registry import part_title

TABLES = ("results", "costs", "requests")
_READERS = 8


class Shelf(Protocol):
    """What a report asks of a store."""

    def done_cells(self) -> set[str]:
        """Keys of all committed cells."""
        ...

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of a cell."""
        ...

    def settings(self, key: str) -> dict[str, Any]:
        """The resolved settings of a cell."""
        ...

    def table(self, key: str, name: str) -> pd.DataFrame:
        """A stored table of a cell."""
        ...


@dataclass(frozen=True, eq=False)
class CellInfo:
    """A cell of the report, finished or not.

    Args:
        key: Of the cell.
        settings: The cell as plain values; empty if nobody knows them.
        manifest: Empty unless the cell is done.
        tables: By name; empty unless the cell is done, and for base models and shadow models.
        error: Why a committed cell could not be read.
        title: What a plan calls it; used where the settings are not known.
    """

    key: str
    settings: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    error: str = ""
    title: str = ""

    @property
    def done(self) -> bool:
        """True if its numbers are here."""
        return bool(self.tables)

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says beside the files."""
        return self.manifest.get("facts", {})

    @property
    def method(self) -> str:
        """Name of the method; empty if unknown."""
        return part_title(**self.settings["method"]) if self.settings else ""

    @property
    def audit(self) -> str:
        """Name of the audit; empty for cells that are none."""
        return (self.settings.get("audit") or {}).get("name", "")

    @property
    def is_measured(self) -> bool:
        """True for cells that hold numbers of a method: no base model and no shadow model."""
        return bool(self.settings) and is_measured(self.settings)

    @cached_property
    def label(self) -> str:
        """A short name for people, as cells print it; the start of the key if nothing is known."""
        stated = str(self.facts.get("label") or self.title)
        if not self.settings or (stated and self.audit in stated):
            return stated or f"cell {self.key[:12]}"
        names = [self.settings["dataset"]["name"], self.settings["model"]["name"], self.method]
        mark = self.settings.get("mark")
        names[2] += (f"@{mark}" if mark else "") + (f"+{self.audit}" if self.audit else "")
        return "/".join([*names, f"s{self.settings['seed']}"])


def is_measured(settings: Mapping[str, Any]) -> bool:
    """True for settings of cells that hold numbers of a method."""
    return settings["method"]["name"] != BASE and not settings.get("shadow")


def read_cells(
    store: Shelf,
    keys: Iterable[str],
    planned: Mapping[str, dict[str, Any]] | None = None,
    titles: Mapping[str, str] | None = None,
) -> list[CellInfo]:
    """All cells in ``keys``, sorted by label; those that are not in the store are without tables.

    Args:
        store: Where finished cells are.
        keys: Of the cells; repeated ones count once.
        planned: Settings by key, to name the cells that are not done.
        titles: What to call cells that are not done and whose settings are not known.
    """
    done, known, named = store.done_cells(), planned or {}, titles or {}

    def read(key: str) -> CellInfo:
        if key not in done:
            return CellInfo(key, known.get(key, {}), title=named.get(key, ""))
        return _read_done(store, key, known.get(key, {}), named.get(key, ""))

    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(read, sorted(set(keys)))
        return sorted(found, key=lambda cell: (cell.label, cell.key))


def _read_done(store: Shelf, key: str, settings: dict[str, Any], title: str) -> CellInfo:
    try:
        manifest, stored = store.manifest(key), store.settings(key)
        names = TABLES if is_measured(stored) else ()
        return CellInfo(key, stored, manifest, {name: store.table(key, name) for name in names})
    except (EraseError, KeyError, TypeError, ValueError) as error:
        reason = without_secrets(f"{error}" if isinstance(error, EraseError) else f"{error!r}")
        return CellInfo(key, settings, error=reason, title=title)


def distinct(cells: Iterable[CellInfo], value: Callable[[CellInfo], Any]) -> list[str]:
    """The different values of finished cells as sorted texts; empty ones are left out."""
    return sorted(
        {str(value(cell)) for cell in cells if cell.done and value(cell) not in ("", None)}
    )
