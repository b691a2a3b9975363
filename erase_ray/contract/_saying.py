"""What every part says of itself: name, docstring, version and settings."""

import ast
import inspect
import re
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from erase_ray.contract._candidate import KINDS, Candidate
from erase_ray.contract._check import Check, expect
from erase_ray.experiment.cell import Part
from erase_ray.experiment.grid_file import choices
from erase_ray.registry import EDITION
from erase_ray.settings import Frozen

WITH_PAPER = ("method", "model", "metric", "audit")
"""Kinds whose docstring names where the idea is from."""


def says_what_it_is(candidate: Candidate) -> None:
    """Name, base class, docstring and version."""
    cls, kind = candidate.cls, candidate.kind
    bases = KINDS[kind].bases()
    expect(cls.name == candidate.name, f"its class calls itself '{cls.name}'; do not set 'name'")
    names = " or ".join(base.__name__ for base in bases)
    expect(issubclass(cls, bases), f"{cls.__name__} must be derived from {names}")
    doc = cls.__dict__.get("__doc__") or ""
    expect(bool(doc.strip()), f"class {cls.__name__} needs a docstring that says what it does")
    version = cls.version
    expect(
        isinstance(version, int) and not isinstance(version, bool) and version >= 1,
        f"version must be a whole number from 1 on, got {version!r}",
    )
    expect(
        kind not in WITH_PAPER or re.search(r"Papers?: ", doc) is not None,
        f"the docstring of {cls.__name__} must have a line 'Paper: ...' that names the source of "
        "the idea, or 'Paper: none.'",
    )


def settings_are_strict(candidate: Candidate) -> None:
    """Frozen settings that refuse keys they do not know."""
    settings = candidate.cls.Settings
    expect(
        isinstance(settings, type) and issubclass(settings, Frozen),
        "its nested class Settings must be derived from erase_ray.settings.Frozen",
    )
    config = settings.model_config
    expect(
        config.get("frozen") is True and config.get("extra") == "forbid",
        "its Settings must stay frozen and forbid unknown keys: take model_config out",
    )
    try:
        settings.model_validate({"no_such_key": 1})
    except ValidationError as error:
        kinds = [fault["type"] for fault in error.errors()]
        expect("extra_forbidden" in kinds, "its Settings accept the unknown key 'no_such_key'")
    else:
        expect(False, "its Settings accept the unknown key 'no_such_key'")


def settings_are_explained(candidate: Candidate) -> None:
    """A sentence under every setting."""
    settings = candidate.cls.Settings
    docs = setting_docs(settings)
    for name, field in settings.model_fields.items():
        expect(
            bool((field.description or docs.get(name, "")).strip()),
            f"setting '{name}' has no docstring: write what it does, with its unit, in a string "
            "on the line below it",
        )
    if candidate.kind in ("method", "scenario"):
        expect(
            EDITION not in settings.model_fields,
            f"'{EDITION}' is a reserved name that chooses an edition of a part; rename the setting",
        )
    if candidate.kind == "audit":
        required = [name for name, field in settings.model_fields.items() if field.is_required()]
        expect(not required, f"settings of audits have defaults; {', '.join(required)} has none")


def settings_survive_a_grid(candidate: Candidate) -> None:
    """From a grid to a stored cell and back, the settings are the same."""
    settings, registry = candidate.cls.Settings, KINDS[candidate.kind]
    choice = choices({candidate.name: candidate.chosen})[0]
    part = Part.resolved(registry, choice.name, choice.settings)
    stored = Part.model_validate_json(part.model_dump_json())
    again = settings(**stored.settings).model_dump(mode="json")
    expect(
        again == part.settings,
        f"settings change when they are stored and read again: {part.settings} became {again}; "
        "use plain numbers, texts, lists and mappings, and validators that leave their own "
        "results alone",
    )
    expect(part.title == candidate.name, f"tables call it '{part.title}', not '{candidate.name}'")


def setting_docs(settings: type[Frozen]) -> dict[str, str]:
    """The string below each setting, those of the base classes included."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if cls is not Frozen and issubclass(cls, Frozen):
            found |= _docs_of(cls)
    return found


@cache
def _docs_of(cls: type[Any]) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):  # made in a console
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found[field.target.id] = text.value
    return found


SAYS_WHAT_IT_IS = Check(
    "says what it is",
    "It has a docstring, a version, and its kind's base class.",
    says_what_it_is,
)
SAYING: tuple[Check, ...] = (
    SAYS_WHAT_IT_IS,
    Check(
        "settings are strict",
        "Settings are Frozen and refuse unknown keys.",
        settings_are_strict,
    ),
    Check(
        "settings are explained",
        "Every setting has a docstring, and none has a reserved name.",
        settings_are_explained,
    ),
    Check(
        "settings survive a grid",
        "Settings are the same after they were stored and read again.",
        settings_survive_a_grid,
    ),
)
