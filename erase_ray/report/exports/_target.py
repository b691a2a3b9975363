"""What a tracking tool has to offer an export."""

from dataclasses import dataclass
from typing import Protocol, Self

from erase_ray.report.exports._read import CellExport


@dataclass(frozen=True)
class Exported:
    """How many cells were exported, were there before, and were left out as shadow models."""

    new: int
    there: int
    shadows: int


class Target(Protocol):
    """An opened place to export to; closed at the end of its ``with`` block."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...

    def there(self) -> set[str]:
        """Keys of cells that were exported completely; anything less is cleared away."""
        ...

    def put(self, cell: CellExport) -> None:
        """Export a cell."""
        ...
