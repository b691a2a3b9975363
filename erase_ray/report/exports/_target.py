"""What a tracking tool has to offer an export."""

from dataclasses import dataclass, field
from typing import Protocol, Self

from erase_ray.report.exports._read import CellExport


@dataclass(frozen=True)
class Exported:
    """What came of an export.

    Args:
        new: Cells that were exported.
        there: Cells that were there before.
        shadows: Cells that were left out as shadow models.
        skipped: Cells that there was nothing to export of, by reason.
        stripped: Secrets that were taken out, by kind.
    """

    new: int
    there: int
    shadows: int
    skipped: dict[str, int] = field(default_factory=dict)
    stripped: dict[str, int] = field(default_factory=dict)


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
