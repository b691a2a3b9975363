"""Find a part of the benchmark by the name of the file it lives in."""

import difflib
import importlib
import importlib.util
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from erase_ray.errors import SettingsError, UnknownNameError

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])

EDITION = "edition"
"""The setting that names an edition of a part, where its kind has editions."""
CORRECTED, REFERENCE = "corrected", "reference"
EDITIONS = (CORRECTED, REFERENCE)
"""``reference`` is what the published implementation computes, defects included."""


class Registry(Generic[T]):
    """Classes of one kind, looked up by name and imported on first use.

    A class in ``<package>/<name>.py`` that is decorated with :meth:`register` is called ``<name>``.
    Outside packages add theirs through the entry-point group that has the package's name
    (``erase_ray.methods`` for methods).

    Args:
        kind: What an error message calls the parts, in the singular.
        package: Dotted name of the package whose files are the parts.
        has_editions: Whether ``<root>.reference.<package>/<name>.py`` may hold another edition of a
            part, which the setting ``edition: reference`` chooses.
    """

    def __init__(self, kind: str, package: str, has_editions: bool = False) -> None:
        self.kind = kind
        self.package = package
        self.has_editions = has_editions
        self._classes: dict[str, Any] = {}
        self._references: dict[str, Any] = {}

    def register(self, cls: C) -> C:
        """Enter ``cls`` under the name of the file that defines it and set ``cls.name``."""
        name = cls.__module__.rpartition(".")[2]
        cls.name = name
        self._classes[name] = cls
        return cls

    def register_reference(self, cls: C) -> C:
        """Enter ``cls`` as the reference edition of the part that its file is named after."""
        name = cls.__module__.rpartition(".")[2]
        cls.name = edition_title(name, REFERENCE)
        self._references[name] = cls
        return cls

    def names(self) -> list[str]:
        """All known names, sorted; nothing is imported but this package."""
        folder = importlib.import_module(self.package).__path__
        files = {info.name for info in pkgutil.iter_modules(folder)}
        inside = {name for name in files if not name.startswith("_")}
        return sorted(inside | set(self._outside()) | set(self._classes))

    def get(self, name: str, edition: str = CORRECTED) -> type[T]:
        """The class called ``name``, in an edition.

        Raises:
            UnknownNameError: No file and no entry point has this name.
            SettingsError: It has no such edition.
        """
        if name not in self._classes:
            self._import(name)
        if edition == CORRECTED or not self.has_editions:
            return self._classes[name]
        if edition not in EDITIONS:
            raise SettingsError(
                f"{self.kind} '{name}': edition must be {' or '.join(EDITIONS)}, got '{edition}'"
            )
        return self._reference(name)

    def _reference(self, name: str) -> Any:
        if name not in self._references:
            root, _, tail = self.package.partition(".")
            module = f"{root}.{REFERENCE}.{tail}.{name}"
            if importlib.util.find_spec(module) is None:
                raise SettingsError(
                    f"{self.kind} '{name}' has no reference edition; leave 'edition' out"
                )
            importlib.import_module(module)
        return self._references[name]

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


def edition_title(name: str, edition: str) -> str:
    """What tables and plots call an edition of a part: ``scif``, or ``scif.reference``."""
    return name if edition == CORRECTED else f"{name}.{edition}"


def part_title(name: str, settings: dict[str, Any]) -> str:
    """The title of a method or scenario with these resolved settings."""
    return edition_title(name, settings.get(EDITION, CORRECTED))


def known_names(name: str, known: list[str]) -> str:
    """The end of an error about an unknown name: the closest one, if any, and all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{hint} Known: {', '.join(known)}"


def _named(cls: Any, name: str) -> Any:
    cls.name = name
    return cls
