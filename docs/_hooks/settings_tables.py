"""The pages about the settings of every part, from the settings classes themselves."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from erase_ray.audits import AUDITS
from erase_ray.datasets import DATASETS
from erase_ray.errors import SettingsError
from erase_ray.experiment.grid_file import Block
from erase_ray.experiment.prices import Machine
from erase_ray.methods import METHODS
from erase_ray.metrics import METRICS
from erase_ray.models import MODELS, TrainingSettings
from erase_ray.registry import REFERENCE, Registry
from erase_ray.scenarios import SCENARIOS

KINDS: dict[str, tuple[str, Registry[Any], str]] = {
    "datasets": ("Datasets", DATASETS, "[Sources, licences and files](../../datasets.md)."),
    "models": ("Models", MODELS, "[What they cost, and how fast they are](../../models.md)."),
    "methods": ("Methods", METHODS, "[What they do, and how well](../../methods.md)."),
    "scenarios": ("Scenarios", SCENARIOS, "[What is measured](../../explanation/protocol.md)."),
    "metrics": ("Metrics", METRICS, ""),
    "audits": ("Audits", AUDITS, "[What they ask](../../audits.md)."),
}
HEAD = """# {title}: settings

Made from the settings classes. In a grid a part is `name` or `{{name: {{setting: value}}}}`; a key
that is not known and a value out of range are errors. {more}
"""
GRID_HEAD = """# Grid: settings

Made from the settings classes. Keys of a grid file; what stands beside `blocks` is the default of
all of them.
"""


def pages() -> dict[str, str]:
    """Markdown by name of the page."""
    made = {name: _page(*kind) for name, kind in KINDS.items()}
    parts = [
        ("An entry of `blocks`", Block),
        ("`training`", TrainingSettings),
        ("`machine`", Machine),
    ]
    made["grid"] = "\n".join([GRID_HEAD, *(_section(title, cls) for title, cls in parts)])
    return made


def _page(title: str, registry: Registry[Any], more: str) -> str:
    sections = [HEAD.format(title=title, more=more)]
    for name in registry.names():
        part = registry.get(name)
        settings = getattr(part, "Settings", None)
        sections.append(_section(f"`{name}`", settings, part))
        if reference := _reference(registry, name):
            title = f"`{name}`, `edition: reference`"
            sections.append(_section(title, reference.Settings, reference))
    return "\n".join(sections)


def _reference(registry: Registry[Any], name: str) -> Any:
    if not registry.has_editions:
        return None
    try:
        return registry.get(name, REFERENCE)
    except SettingsError:
        return None


def _section(title: str, settings: type[BaseModel] | None, part: Any = None) -> str:
    text = [f"## {title}", "", _first_line(part or settings), ""]
    text += _table(settings) if settings else ["No settings.", ""]
    for inner in _inner(settings) if settings else ():
        text += [f"### `{inner.__name__}`", "", _first_line(inner), "", *_table(inner)]
    return "\n".join(text)


def _table(settings: type[BaseModel]) -> list[str]:
    if not settings.model_fields:
        return ["No settings.", ""]
    told = attribute_docstrings(settings)
    rows = [
        f"| `{name}` | `{_type(field)}` | {_default(field)} | {_cell(told.get(name, ''))} |"
        for name, field in settings.model_fields.items()
    ]
    return ["| setting | type | default | meaning |", "|---|---|---|---|", *rows, ""]


def attribute_docstrings(cls: type) -> dict[str, str]:
    """The text below each field of a class and of those that it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _own_docstrings(base)
    return found


def _own_docstrings(cls: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = _text(below)
            if text:
                found[field.target.id] = text
    return found


def _text(node: ast.stmt) -> str:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return inspect.cleandoc(str(node.value.value)) if is_text else ""  # pyright: ignore


def _inner(settings: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Classes of settings inside of these, each once."""
    seen: set[type] = set()
    for field in settings.model_fields.values():
        for cls in _classes(field.annotation):
            if cls not in seen:
                seen.add(cls)
                yield cls


def _classes(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _classes(inner)


def _type(field: FieldInfo) -> str:
    name = inspect.formatannotation(field.annotation).rpartition("~")[2]
    for prefix in ("typing.", "pathlib.", "pydantic."):
        name = name.replace(prefix, "")
    bounds = [
        f"{sign} {getattr(bound, key)}"
        for bound in field.metadata
        for key, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(bound, key, None) is not None
    ]
    return ", ".join([_short(name), *bounds]).replace("|", "\\|")


def _short(name: str) -> str:
    """``erase_ray.datasets.table.Columns`` as ``Columns``."""
    words = name.replace("[", " [ ").replace("]", " ] ").replace(",", " , ").split()
    short = [word.rpartition(".")[2] if word.startswith("erase_ray.") else word for word in words]
    return " ".join(short).replace(" [ ", "[").replace(" ]", "]").replace(" ,", ",")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return f"`{value!r}`".replace("|", "\\|") if len(repr(value)) <= 60 else "see below"


def _first_line(part: Any) -> str:
    text = inspect.cleandoc(part.__doc__ or "").partition("\n\n")[0]
    return " ".join(text.split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
