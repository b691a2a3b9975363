"""Find a part of the benchmark by the name of the file it lives in."""

import difflib
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from erase_ray.errors import UnknownNameError

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])


class Registry(Generic[T]):
    """Classes of one kind, looked up by name and imported on first use.

    A class in ``<package>/<name>.py`` that is decorated with :meth:`register` is called ``<name>``.
    Outside packages add theirs through the entry-point group that has the package's name
    (``erase_ray.methods`` for methods).

    Args:
        kind: What an error message calls the parts, in the singular.
        package: Dotted name of the package whose files are the parts.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._classes: dict[str, Any] = {}

    def register(self, cls: C) -> C:
        """Enter ``cls`` under the name of the file that defines it and set ``cls.name``."""
        name = cls.__module__.rpartition(".")[2]
        cls.name = name
        self._classes[name] = cls
        return cls

    def names(self) -> list[str]:
        """All known names, sorted; nothing is imported but this package."""
        folder = importlib.import_module(self.package).__path__
        files = {info.name for info in pkgutil.iter_modules(folder)}
        inside = {name for name in files if not name.startswith("_")}
        return sorted(inside | set(self._outside()) | set(self._classes))

    def get(self, name: str) -> type[T]:
        """The class called ``name``.

        Raises:
            UnknownNameError: No file and no entry point has this name.
        """
        if name not in self._classes:
            self._import(name)
        return self._classes[name]

    def _import(self, name: str) -> None:
        outside = self._outside()
        if name in outside:
            self._classes[name] = _named(outside[name].load(), name)
        elif name in self.names():
            importlib.import_module(f"{self.package}.{name}")
        else:
            raise UnknownNameError(self._unknown(name))

    def _outside(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.package)}

    def _unknown(self, name: str) -> str:
        return f"no {self.kind} is called '{name}'.{known_names(name, self.names())}"


def known_names(name: str, known: list[str]) -> str:
    """The end of an error about an unknown name: the closest one, if any, and all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known: {', '.join(known)}"


def _named(cls: Any, name: str) -> Any:
    cls.name = name
    return cls
