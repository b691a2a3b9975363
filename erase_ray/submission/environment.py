"""Python, packages and devices of this machine."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import torch

PACKAGE = "erase-ray"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def environment() -> dict[str, Any]:
    """What a reader needs to build the same environment; names neither machine nor user."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "devices": _devices(),
        "cuda": torch.version.cuda,
        "packages": packages(),
    }


def packages(root: str = PACKAGE) -> dict[str, str]:
    """Versions of a package and of all that it requires and that is installed, by name."""
    found: dict[str, str] = {}
    todo = [root]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            known = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = known.version
        todo += [_named(text) for text in known.requires or [] if "extra ==" not in text]
    return dict(sorted(found.items()))


def _named(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0] if match else ""


def _devices() -> list[str]:
    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
