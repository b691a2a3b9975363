"""What a grid file may say, and how ``--set`` changes it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from erase_ray.errors import SettingsError
from erase_ray.experiment._hints import hint
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.results import ORIGINAL
from erase_ray.methods import METHODS
from erase_ray.models import TrainingSettings
from erase_ray.models._presets import DEFAULT
from erase_ray.settings import Frozen, checked, parse_assignment, read_yaml

ALL = "all"
"""In a list of methods: the original model and, for each model, all methods that can serve it."""


class Choice(Frozen):
    """A part that a grid names, with the settings that differ from the defaults."""

    name: str
    settings: dict[str, Any] = {}
    where_fitting: bool = False
    """Whether it is left out for models that it does not serve; without it they are an error."""


def choices(value: Any) -> list[Choice]:
    """``value`` as a list of parts.

    It may be a name, a mapping of names to settings, or a list of such.

    Raises:
        ValueError: It is something else, or nothing.
    """
    if isinstance(value, Choice):
        return [value]
    if isinstance(value, str):
        return [Choice(name=value)]
    if isinstance(value, dict) and value:
        return [Choice(name=str(name), settings=known or {}) for name, known in value.items()]
    if isinstance(value, list) and value:
        return [choice for entry in value for choice in choices(entry)]
    raise ValueError("must be a name, a mapping of names to settings, or a list of these")


def _methods(value: Any) -> list[Choice]:
    listed = choices(value)
    named = [choice for choice in listed if choice.name != ALL]
    if len(named) == len(listed):
        return listed
    own = {choice.name for choice in named}
    others = [name for name in (ORIGINAL, *METHODS.names()) if name not in own]
    return [Choice(name=name, where_fitting=True) for name in others] + named


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _audits(value: Any) -> list[Choice]:
    return choices(value) if value else []


Choices = Annotated[list[Choice], BeforeValidator(choices)]


class Block(Frozen):
    """Lists of parts; every combination of them that has one task is in the grid."""

    datasets: Choices
    models: Choices
    scenarios: Choices
    methods: Annotated[list[Choice], BeforeValidator(_methods)]
    seeds: Annotated[list[int], BeforeValidator(_several), Field(min_length=1)]
    preset: str = DEFAULT
    """Settings of the models, by a name in models/presets.yaml."""
    training: dict[str, Any] = {}
    """What differs from the preset's training settings."""
    audits: Annotated[list[Choice], BeforeValidator(_audits)] = []
    """What each of the methods, original and retrained models included, is audited by."""
    limit_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds that a request of a chain may take; None for no limit."""
    batch: Annotated[int, Field(ge=1)] | None = None
    """Wishes that are served as one request, in place of what the scenarios say."""


PARTS = ("datasets", "models", "scenarios", "methods", "audits")
BLOCK_KEYS = tuple(Block.model_fields)


def read_grid(path: Path, assignments: list[str]) -> tuple[list[Block], Machine]:
    """The blocks and the machine of a grid file; see :func:`parse_grid`."""
    return parse_grid(read_yaml(path), f"grid {path.name}", assignments)


def parse_grid(
    content: dict[str, Any], name: str, assignments: list[str]
) -> tuple[list[Block], Machine]:
    """The blocks and the machine of a grid, after the ``key=value`` assignments.

    What stands beside ``blocks`` is the default of all of them; ``training`` is merged.

    Args:
        content: What a grid file holds.
        name: What errors call it.
        assignments: ``key=value`` each.

    Raises:
        SettingsError: The content or an assignment has a key or a form that is not known.
    """
    content = dict(content)
    blocks, machine = content.pop("blocks", None), content.pop("machine", None) or {}
    known = ("blocks", "machine", *BLOCK_KEYS)
    for key in content:
        if key not in known:
            raise SettingsError(f"{name}: {_unknown(key, known)}")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SettingsError(f"{name}: blocks must be a list of mappings")
    raw = [_merged(content, block) for block in blocks]
    checked_blocks = [
        checked(Block, block, f"{name}, block {number}") for number, block in enumerate(raw, 1)
    ]
    for text in assignments:
        checked_blocks, machine = _assign(checked_blocks, machine, text)
    return checked_blocks, checked(Machine, machine, f"machine of {name}")


def _merged(defaults: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    training = (defaults.get("training") or {}) | (block.get("training") or {})
    return defaults | block | {"training": training}


def _assign(
    blocks: list[Block], machine: dict[str, Any], text: str
) -> tuple[list[Block], dict[str, Any]]:
    dotted, value = parse_assignment(text)
    key, *path = dotted.split(".")
    if key == "machine":
        return blocks, _put(machine, path, value, text)
    if key not in BLOCK_KEYS:
        raise SettingsError(f"--set {text}: {_unknown(key, ('machine', *BLOCK_KEYS))}")
    if not path and key != "training":
        return [
            _changed(block, key, _widened(block, key, value), text) for block in blocks
        ], machine
    if key == "training":
        if path and path[0] not in TrainingSettings.model_fields:
            raise SettingsError(f"--set {text}: {_unknown(path[0], TrainingSettings.model_fields)}")
        new = [_put(block.training, path, value, text) for block in blocks]
        return [_changed(b, key, v, text) for b, v in zip(blocks, new, strict=True)], machine
    if key not in PARTS or len(path) < 2:
        raise SettingsError(f"--set {text}: write {key}=..., or {key}.NAME.SETTING=... for a part")
    return _set_parts(blocks, key, path, value, text), machine


def _widened(block: Block, key: str, value: Any) -> Any:
    """``value``, or what the block names already and ``all`` others."""
    if key != "methods" or value != ALL:
        return value
    return [ALL, *(choice for choice in block.methods if not choice.where_fitting)]


def _set_parts(
    blocks: list[Block], key: str, path: list[str], value: Any, text: str
) -> list[Block]:
    name, *rest = path
    names = {choice.name for block in blocks for choice in getattr(block, key)}
    if name not in names:
        raise SettingsError(f"--set {text}: {_unknown(name, sorted(names), 'the grid has no')}")
    return [
        _changed(block, key, [_with(c, name, rest, value, text) for c in getattr(block, key)], text)
        for block in blocks
    ]


def _with(choice: Choice, name: str, path: list[str], value: Any, text: str) -> Choice:
    if choice.name != name:
        return choice
    return choice.model_copy(update={"settings": _put(choice.settings, path, value, text)})


def _changed(block: Block, key: str, value: Any, text: str) -> Block:
    kept = {name: getattr(block, name) for name in BLOCK_KEYS}
    return checked(Block, kept | {key: value}, f"--set {text}")


def _put(settings: dict[str, Any], path: list[str], value: Any, text: str) -> dict[str, Any]:
    if not path:
        if not isinstance(value, dict):
            raise SettingsError(f"--set {text}: a mapping is needed, such as {{epochs: 3}}")
        return settings | value
    head, *rest = path
    inner = settings.get(head)
    deeper = _put(inner if isinstance(inner, dict) else {}, rest, value, text) if rest else value
    return settings | {head: deeper}


def _unknown(key: str, known: Any, lead: str = "there is no") -> str:
    return f"{lead} '{key}'{hint(key, known)}. Known: {', '.join(known)}"
