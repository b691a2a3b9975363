"""The files of ``cluster/`` as Python values."""

import copy
import re
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[3] / "cluster"
ROOT = FOLDER.parent
IMAGE = "registry.example.com/erase-ray:0.1.0"


def text(name: str) -> str:
    return (FOLDER / name).read_text()


def loaded(name: str) -> Any:
    return yaml.safe_load(text(name))


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text(name)))


def changed(value: Any, path: str, to: Any) -> Any:
    """A copy of a nested value with one entry replaced; ``path`` is dotted, numbers index lists."""
    result = copy.deepcopy(value)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = result
    for part in way:
        inner = inner[part]
    inner[last] = to
    return result


def commands(name: str) -> list[str]:
    """Each command in the ``sh`` blocks of a page, without its comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text(name), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [bare for line in lines if (bare := re.sub(r"\s+#.*", "", line).strip())]
