"""The verb ``erase-ray new``."""

import argparse
from pathlib import Path
from typing import Any

from erase_ray.cli._text import show
from erase_ray.contract import KINDS
from erase_ray.contract.start import Starter

MORE = (
    "Writes a folder with a working example of that kind, a test, a grid that runs it on planted "
    "data in a minute, and the entry point that makes it known."
)


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "a package of your own with a part to start from"
    verb = commands.add_parser("new", help=help, description=f"Make {help}. {MORE}")
    verb.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    verb.add_argument("name", metavar="NAME", help="what it is called in grids, such as fade")
    verb.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where to; this folder by default"
    )
    verb.set_defaults(run=_new)


def _new(args: argparse.Namespace) -> int:
    starter = Starter.of(args.kind, args.name)
    folder = starter.write(args.out)
    show(
        [
            f"{folder} holds the {args.kind} '{args.name}'. Next:",
            f"  cd {folder}",
            "  pip install --no-deps --no-build-isolation -e .",
            f"  erase-ray check {args.kind} {args.name}",
            "  python -m pytest",
            f"  your code: {starter.part_file}; running it: README.md",
        ]
    )
    return 0
