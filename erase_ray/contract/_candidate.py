"""A part that is to be checked."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from erase_ray.audits import AUDITS
from erase_ray.datasets import DATASETS
from erase_ray.methods import METHODS
from erase_ray.metrics import METRICS
from erase_ray.models import MODELS
from erase_ray.registry import Registry
from erase_ray.scenarios import SCENARIOS
from erase_ray.settings import checked

KINDS: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (DATASETS, MODELS, METHODS, SCENARIOS, METRICS, AUDITS)
}
"""The registry of each kind of part."""

USUAL: dict[str, Any] = {"category": "sensitive", "fraction": 0.05, "ratio": 0.05}
"""Settings of scenarios on planted data: its category, and enough requests."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A part by kind and name.

    Args:
        kind: One of :data:`KINDS`.
        name: What the registry calls it.
        settings: What differs from its defaults while it is checked.
        raw: Folder of raw files, for datasets that read some.
    """

    kind: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    raw: Path | None = None

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"

    @cached_property
    def cls(self) -> Any:
        """Its class.

        Raises:
            UnknownNameError: There is none.
            OutsidePartError: The package that offers it is broken.
        """
        return KINDS[self.kind].get(self.name)

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings, and usual ones of scenarios that have settings of such names."""
        if self.kind != "scenario":
            return self.settings
        fields = self.cls.Settings.model_fields
        return {name: USUAL[name] for name in USUAL if name in fields} | self.settings

    def make(self, *arguments: Any, **more: Any) -> Any:
        """An instance with the settings, and ``more`` of them.

        Raises:
            SettingsError: A setting is unknown, missing or out of range.
        """
        what = f"settings of {self.kind} '{self.name}'"
        return self.cls(checked(self.cls.Settings, self.chosen | more, what), *arguments)
