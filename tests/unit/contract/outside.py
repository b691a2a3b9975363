"""Packages with parts, installed the fast way: their files, and what ``pip`` writes beside them."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def install(site: Path, package: Path) -> None:
    """Put a package that lies in a folder into ``site`` as ``pip install -e`` would."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    offer(site, project["name"], project["version"], project["entry-points"])
    with (site / "packages.pth.txt").open("a") as paths:
        paths.write(f"{package}\n")


def offer(site: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """Write the facts of an installed package: its name, version and entry points."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))


def environment(site: Path) -> dict[str, str]:
    """Variables of a process that sees what is installed in ``site``."""
    listed = site / "packages.pth.txt"
    packages = listed.read_text().split() if listed.exists() else []
    paths = [str(site), *packages, str(ROOT)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(
    site: Path, *arguments: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a process that sees what is installed in ``site``."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=environment(site), cwd=cwd or site, capture_output=True, text=True
    )


def command(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``erase-ray`` with these arguments."""
    return run(site, "-m", "erase_ray.cli.main", *arguments)
