"""Frozen, strict settings, read from YAML or from ``key=value`` texts."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from erase_ray.errors import SettingsError

S = TypeVar("S", bound="Frozen")


class Frozen(BaseModel):
    """Settings that cannot change and that refuse keys they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


def checked(cls: type[S], values: dict[str, Any], what: str) -> S:
    """``values`` as a ``cls``.

    Raises:
        SettingsError: All faults at once, in one line that begins with ``what``.
    """
    try:
        return cls(**values)
    except ValidationError as error:
        faults = "; ".join(_fault(fault) for fault in error.errors())
        known = ", ".join(cls.model_fields) or "none"
        raise SettingsError(f"{what}: {faults}. Known keys: {known}") from error


def _fault(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']} (got {fault['input']!r})"


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        SettingsError: The file is missing, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read settings file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a mapping of keys to values")
    return content


def parse_assignment(text: str) -> tuple[str, Any]:
    """``"key=value"`` as a pair, the value read as YAML.

    Raises:
        SettingsError: There is no ``=`` or no key, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SettingsError(f"expected key=value, got '{text}'")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"the value of '{key}' is not valid YAML: '{value}'") from error
