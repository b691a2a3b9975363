"""Where a reader keeps parsed columns, and how much memory it may take."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection
else:  # the engine is loaded when it is used: most processes never read raw files
    Connection = Any

GIB = 2**30
CACHE = "ERASE_RAY_CACHE"
"""Environment variable: folder for parsed columns; the user's cache folder without it."""
ENGINE_SHARE = 0.4
"""Share of the budget that DuckDB may hold; the rest is for the arrays that are made from it."""


@dataclass(frozen=True)
class Scratch:
    """A folder on the local disk and a budget of memory.

    Args:
        folder: Made if need be; what lies in it can be deleted at any time.
        memory_bytes: Memory that reading may take, about.
    """

    folder: Path
    memory_bytes: int = 4 * GIB

    @classmethod
    def default(cls, memory_bytes: int = 4 * GIB) -> "Scratch":
        """In the folder that ``ERASE_RAY_CACHE`` names, or the user's cache folder."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(os.environ.get(CACHE) or Path(home) / "erase_ray"), memory_bytes)

    @contextmanager
    def duckdb(self) -> Iterator[Connection]:
        """A connection that keeps to the budget and spills to the folder; UTC, no extensions."""
        import duckdb

        spill = self.folder / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        limit_mb = max(int(self.memory_bytes * ENGINE_SHARE / 2**20), 256)
        settings: dict[str, Any] = {
            "memory_limit": f"{limit_mb}MB",
            "temp_directory": str(spill),
            "threads": str(_threads()),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        connection = duckdb.connect(config=settings)
        try:
            connection.execute("SET enable_progress_bar = false")
            yield connection
        finally:
            connection.close()


def _threads() -> int:
    """Cores that this process may use, 8 at most: more only take memory here."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 8)
