"""A package to start from: a working part of some kind, its test, and a grid that runs it."""

import keyword
import re
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Self

from erase_ray.contract._candidate import KINDS
from erase_ray.errors import SettingsError, UnknownNameError
from erase_ray.experiment.results import BASE, ORIGINAL, SHADOW
from erase_ray.registry import known_names

RESERVED = (ORIGINAL, BASE, SHADOW, "all", "test", "tests")
"""Names that mean something else in grids, tables or packages."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Starter:
    """A package with one part.

    Args:
        kind: What the part is.
        name: What it is called.
    """

    kind: str
    name: str

    @classmethod
    def of(cls, kind: str, name: str) -> Self:
        """A starter whose name is free.

        Raises:
            UnknownNameError: There is no such kind.
            SettingsError: The name cannot be one, or is taken.
        """
        if kind not in KINDS:
            raise UnknownNameError(f"no kind is called '{kind}'.{known_names(kind, list(KINDS))}")
        if not _NAME.fullmatch(name) or keyword.iskeyword(name) or keyword.issoftkeyword(name):
            raise SettingsError(
                f"'{name}' cannot be the name of a part: take small letters, digits and single "
                "underscores, beginning with a letter, and no word of Python's"
            )
        if name in RESERVED:
            raise SettingsError(f"'{name}' means something else already; take another name")
        taken = [known for known, registry in KINDS.items() if name in registry.names()]
        if taken:
            raise SettingsError(f"there is a {taken[0]} called '{name}'; take another name")
        return cls(kind, name)

    @property
    def distribution(self) -> str:
        """What ``pip`` calls the package, and its folder."""
        return f"erase-ray-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python calls it."""
        return f"erase_ray_{self.name}"

    @property
    def class_name(self) -> str:
        """The part's class."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def part_file(self) -> str:
        """The file of the part, inside the folder."""
        return f"{self.package}/{self.name}.py"

    def contents(self) -> dict[str, str]:
        """The text of each file, by its path inside the folder."""
        return {
            "pyproject.toml": self._text("pyproject.toml.tmpl"),
            "README.md": self._text("README.md.tmpl"),
            "grid.yaml": self._text(f"{self.kind}/grid.yaml.tmpl"),
            f"{self.package}/__init__.py": self._text("init.py.tmpl"),
            self.part_file: self._text(f"{self.kind}/part.py.tmpl"),
            f"tests/test_{self.name}.py": self._text("test.py.tmpl"),
        }

    def write(self, out: Path) -> Path:
        """Write the package into a new folder below ``out``, which is returned.

        Raises:
            SettingsError: The folder is there already.
        """
        folder = out / self.distribution
        if folder.exists():
            raise SettingsError(f"{folder} is there already; move it away, or use --out DIR")
        for name, text in self.contents().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    def _text(self, template: str) -> str:
        source = files("erase_ray").joinpath("templates", *template.split("/")).read_text()
        return Template(source).substitute(
            kind=self.kind,
            name=self.name,
            distribution=self.distribution,
            package=self.package,
            class_name=self.class_name,
            version=version("erase-ray"),
        )
