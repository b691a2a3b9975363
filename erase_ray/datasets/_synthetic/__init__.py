"""Generators of raw files in the original formats, one file a format, and their truth.

Each module that does not begin with an underscore has ``write(out, scale, seed)``, which writes the
raw files, and ``truth(raw, seed)``, which reads them again in the most obvious way, independently
of the reader, and says what a correct reader finds in them.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from erase_ray.datasets._base import DATASETS
from erase_ray.datasets._own_files import find_files

_READING: dict[str, dict[str, Any]] = {"dunnhumby": {"release": "original"}}


def names() -> list[str]:
    """The datasets whose raw files can be made up."""
    found = (info.name for info in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def reading(name: str) -> dict[str, Any]:
    """Settings under which the reader finds what the truth says, apart from the defaults."""
    return _READING.get(name, {})


def write(name: str, out: Path, scale: float, seed: int) -> None:
    """Write the raw files of ``name`` into the folder ``out``; the same arguments, same bytes."""
    _module(name).write(out, scale, seed)


def truth(name: str, raw: Path, seed: int) -> dict[str, Any]:
    """What a correct reader finds in the raw files that :func:`write` made."""
    return _module(name).truth(raw, seed)


def files(name: str, raw: Path) -> dict[str, Path]:
    """The raw files in a folder, as the reader of ``name`` takes them."""
    kind = DATASETS.get(name)
    return find_files(kind.about.files if kind.about else (), raw)


def _module(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
