"""Named settings of all models, from ``presets.yaml``."""

from functools import cache
from pathlib import Path
from typing import Any

from erase_ray.errors import SettingsError
from erase_ray.settings import Frozen, read_yaml

FILE = Path(__file__).parent / "presets.yaml"
DEFAULT = "benchmark"
"""The preset that spells out the models' own defaults."""


class Preset(Frozen):
    """What a preset changes of a model's defaults."""

    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}


def preset(name: str, model: str) -> Preset:
    """The preset of a model; empty where the preset says nothing of it.

    Raises:
        SettingsError: There is no such preset.
    """
    known = _presets()
    if name not in known:
        raise SettingsError(f"there is no preset '{name}'. Known: {', '.join(known)}")
    return known[name].get(model, Preset())


@cache
def _presets() -> dict[str, dict[str, Preset]]:
    return {
        name: {model: Preset(**values) for model, values in models.items()}
        for name, models in read_yaml(FILE).items()
    }
