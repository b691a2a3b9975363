"""Find a part of the benchmark by the name of the file it lives in."""

import difflib
import importlib
import importlib.util
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from erase_ray.errors import SettingsError, UnknownNameError

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])

ROOT = "erase_ray"

EDITION = "edition"
"""The setting that names an edition of a part, where its kind has editions."""
CORRECTED, REFERENCE = "corrected", "reference"
EDITIONS = (CORRECTED, REFERENCE)
"""``reference`` is what the published implementation computes, defects included."""


class OutsidePartError(SettingsError):
    """A part of an installed package that cannot be used; the text names the package."""


@dataclass(frozen=True)
class Origin:
    """The installed package that offers a part.

    Args:
        distribution: Its name, as ``pip`` knows it.
        version: Its version.
    """

    distribution: str
    version: str


class Registry(Generic[T]):
    """Classes of one kind, looked up by name and imported on first use.

    A class in ``<package>/<name>.py`` that is decorated with :meth:`register` is called ``<name>``.
    Outside packages add theirs through the entry-point group that has the package's name
    (``erase_ray.methods`` for methods); see docs/extending.md.

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
        """Enter ``cls`` under the name of the file that defines it and set ``cls.name``.

        Raises:
            OutsidePartError: It is defined outside of the package, and one of its files has the
                same name.
        """
        name = cls.__module__.rpartition(".")[2]
        if not cls.__module__.startswith(f"{ROOT}.") and name in self.inside():
            raise OutsidePartError(
                f"{self.kind} '{name}' of {cls.__module__} has the name of a built-in one; give "
                "its file another name"
            )
        cls.name = name
        self._classes[name] = cls
        return cls

    def register_reference(self, cls: C) -> C:
        """Enter ``cls`` as the reference edition of the part that its file is named after."""
        name = cls.__module__.rpartition(".")[2]
        cls.name = edition_title(name, REFERENCE)
        self._references[name] = cls
        return cls

    def inside(self) -> set[str]:
        """Names of the built-in parts; nothing is imported but this package."""
        folder = importlib.import_module(self.package).__path__
        files = {info.name for info in pkgutil.iter_modules(folder)}
        return {name for name in files if not name.startswith("_")}

    def outside(self) -> dict[str, Origin]:
        """The parts of installed packages by name, usable or not, and where they are from."""
        return {name: _origin(points[0]) for name, points in self._points().items()}

    def names(self) -> list[str]:
        """All known names, sorted; nothing is imported but this package."""
        return sorted(self.inside() | set(self._points()) | set(self._classes))

    def get(self, name: str, edition: str = CORRECTED) -> type[T]:
        """The class called ``name``, in an edition.

        Raises:
            UnknownNameError: No file and no entry point has this name.
            OutsidePartError: A package offers it that cannot be imported, offers something else
                than such a class, or offers a name that is taken.
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
        points = self._points().get(name, [])
        if points:
            self._classes[name] = self._loaded(name, points)
        elif name in self.inside():
            importlib.import_module(f"{self.package}.{name}")
        else:
            raise UnknownNameError(self._unknown(name))

    def _points(self) -> dict[str, list[EntryPoint]]:
        return _scanned().get(self.package, {})

    def _loaded(self, name: str, points: list[EntryPoint]) -> Any:
        offered = " and ".join(sorted(_named(_origin(point)) for point in points))
        what = f"{self.kind} '{name}' of {offered}"
        away = f"pip uninstall {_origin(points[0]).distribution}"
        if name in self.inside():
            raise OutsidePartError(
                f"{what} has the name of a built-in one; rename it in the package's entry points, "
                f"or: {away}"
            )
        if len(points) > 1:
            raise OutsidePartError(
                f"{what} is offered twice; uninstall one of them, such as: {away}"
            )
        value = points[0].value
        try:
            cls = points[0].load()
        except Exception as error:  # whatever its modules do when they are imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise OutsidePartError(
                f"{what} cannot be imported from '{value}' ({reason}); mend or update the package, "
                f"or: {away}"
            ) from error
        fault = self._fault(cls)
        if fault:
            raise OutsidePartError(f"{what}: '{value}' {fault}. Mend the package, or: {away}")
        cls.name = name
        return cls

    def _fault(self, cls: Any) -> str:
        """Why ``cls`` is no class of this kind; empty if it is one."""
        bases = self.bases()
        if not isinstance(cls, type) or not issubclass(cls, bases):
            names = " or ".join(f"{base.__name__}" for base in bases)
            return f"is no class derived from {names} of {self.package}"
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"does not define {missing}" if missing else ""

    def bases(self) -> tuple[type[Any], ...]:
        """The classes that parts are derived from: the abstract ones that the package exports."""
        exported = vars(importlib.import_module(self.package)).values()
        home = f"{self.package}._base"
        classes = [value for value in exported if inspect.isclass(value)]
        return tuple(c for c in classes if c.__module__ == home and inspect.isabstract(c))

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


def rescan() -> None:
    """Look at the installed packages again, which is done once a process otherwise."""
    _scanned.cache_clear()


@cache
def _scanned() -> dict[str, dict[str, list[EntryPoint]]]:
    """What installed packages offer, by group and name."""
    found: dict[str, dict[str, list[EntryPoint]]] = {}
    points = entry_points()
    for group in points.groups:
        if group.startswith(f"{ROOT}."):
            for point in points.select(group=group):
                found.setdefault(group, {}).setdefault(point.name, []).append(point)
    return found


def _origin(point: EntryPoint) -> Origin:
    dist = point.dist
    return Origin(dist.name, dist.version) if dist else Origin("an unknown package", "unknown")


def _named(origin: Origin) -> str:
    return f"{origin.distribution} {origin.version}"
