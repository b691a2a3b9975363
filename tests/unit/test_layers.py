"""Imports point down the list of ARCHITECTURE: read from the source, so lazy imports count too."""

import ast
from pathlib import Path

import erase_ray

ROOT = Path(erase_ray.__file__).parent
LAYERS = [
    {"cli"},
    {"api"},
    {"distributed"},
    {"contract", "submission", "imports"},
    {"report"},
    {"experiment"},
    {"reference"},
    {"methods"},
    {"training", "selection", "checkpoints", "evaluation", "audits"},
    {"models", "tasks", "scenarios", "metrics"},
    {"datasets", "data"},
    {"settings", "registry", "seeds", "errors", "log"},
]
HEIGHT = {part: -level for level, parts in enumerate(LAYERS) for part in parts}
# data/prepare.py asks the task for the split by its name
ALLOWED = {("data", "tasks")}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "erase_ray":
                found |= {f"erase_ray.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def test_every_file_belongs_to_a_layer():
    files = [path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in HEIGHT]
    assert len(files) > 20
    assert {part_of(path) for path in files} <= set(HEIGHT)


def test_imports_point_down():
    wrong = []
    for path in ROOT.rglob("*.py"):
        here = part_of(path)
        for module in imports(path):
            parts = module.split(".")
            there = parts[1] if parts[0] == "erase_ray" and len(parts) > 1 else None
            if there in HEIGHT and here in HEIGHT and HEIGHT[there] > HEIGHT[here]:
                wrong.append((str(path.relative_to(ROOT)), module))
    assert [pair for pair in wrong if not pair[0].startswith("data/prepare")] == []


def test_only_distributed_imports_ray():
    users = {
        part_of(path)
        for path in ROOT.rglob("*.py")
        if any(module.split(".")[0] == "ray" for module in imports(path))
    }
    assert users <= {"distributed"}
