"""The folder that a page is run in: what is there, which programs, which environment."""

import os
import shutil
import sys
from pathlib import Path

from markdown_pages import ROOT

from tests.free_ports import free_ports

HERE = Path(__file__).parent
COPIED = ("jobs", "cluster", "docs/examples", "benchmarks")
"""There is no Makefile: its targets install into the environment."""
DROPPED = ("ERASE_RAY_", "AWS_", "RAY_", "XDG_", "MLFLOW_", "WANDB_", "PYTEST_", "COV_", "MAKE")
SERVER_PORT = "8333"
"""Of a server in a page; a free one takes its place."""
SERVER_PARTS = ("master", "volume", "filer", "admin")
SERVER_OPTIONS = [
    "-admin.ui=false",
    "-webdav=false",
    "-master.telemetry=false",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
]
FORWARD = '#!/bin/sh\nexec "{python}" -S -E "{forward}" "$0" "$@"\n'
SMALL_STORE = '#!/bin/sh\nset -eu\nmkdir -p "$1"\ncp -R "$DOCS_SMALL_STORE"/. "$1"\n'
# what the page does not name is on free ports, or off
SERVER = '#!/bin/sh\nexec {program} "$@" {options}\n'


class Scratch:
    """The folders of a page.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.work, self.own, self.home = folder / "page", folder / "own", folder / "home"
        self.installed = folder / "installed"
        self.programs = self.work / ".venv/bin"
        for place in (self.own, self.home, self.programs):
            place.mkdir(parents=True)
        leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.work / name, ignore=leftovers)
        self.port, *ports = free_ports(2 + 2 * len(SERVER_PARTS))
        self._add_programs(ports)

    def _add_programs(self, ports: list[int]) -> None:
        forward = FORWARD.format(python=sys.executable, forward=HERE / "forward.py")
        names = [f"{part}.port{kind}" for part in SERVER_PARTS for kind in ("", ".grpc")]
        pairs = zip([*names, "s3.port.grpc"], ports, strict=True)
        options = [*SERVER_OPTIONS, *(f"-{name}={port}" for name, port in pairs)]
        beside = Path(sys.executable).with_name("weed")
        self.add_program("erase-ray", forward)
        self.add_program("python", forward)
        self.add_program("small-store", SMALL_STORE)
        self.add_program("weed", SERVER.format(program=beside, options=" ".join(options)))
        self.add_program("activate", f"export PATH='{self.programs}':$PATH\n")

    def add_program(self, name: str, text: str) -> None:
        """Put a program on the path."""
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def environment(self, warm: str, small_store: str) -> dict[str, str]:
        """Variables of the page: nothing of the user's own settings, keys and caches."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(DROPPED)}
        return own | {
            "HOME": str(self.home),
            "PATH": os.pathsep.join(
                [str(self.programs), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "DOCS_WARM": warm,
            "DOCS_SMALL_STORE": small_store,
            "DOCS_STATE": str(self.own / "state"),
            "DOCS_BLOCK": str(self.own / "block"),
            # what a page installs goes into a folder of its own, and comes from no network
            "PIP_TARGET": str(self.installed),
            "PYTHONPATH": str(self.installed),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "RAY_ADDRESS": "local",
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "PYTHONDONTWRITEBYTECODE": "1",
            "WANDB_MODE": "offline",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
