"""The verb ``erase-ray submit``."""

import argparse
from pathlib import Path
from typing import Any

from erase_ray.cli._choice import add_choice
from erase_ray.cli._tell import progress
from erase_ray.cli._text import show, size_text
from erase_ray.experiment.upkeep.secrets import told
from erase_ray.submission.manifest import About, Manifest
from erase_ray.submission.pack import Choice, submit

MOST = 10
"""Absent cells that are written out; the manifest has all."""


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "pack finished cells so that others can check them"
    verb = commands.add_parser(
        "submit",
        help=help,
        description=f"{help.capitalize()} with 'erase-ray verify': results, requests, costs and "
        "ranked lists, settings, plans, environment and checksums; no data, and no secrets. Cells "
        "of the plan that are not done are listed by name.",
    )
    verb.add_argument("storage", metavar="STORAGE", help="folder or address of the store")
    verb.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE.tar.gz|DIR",
        help="archive or folder to write; must not exist",
    )
    add_choice(verb)
    verb.add_argument("--weights", action="store_true", help="pack the weights as well")
    texts = {
        "title": "of the submission",
        "who": "names of the submitters",
        "contact": "an address that is to be published",
        "licence": "of the results, such as CC-BY-4.0",
        "when": "a date; by default that of the last cell",
    }
    for name, what in texts.items():
        verb.add_argument(f"--{name}", default="", metavar="TEXT", help=what)
    verb.set_defaults(run=_submit)


def _submit(args: argparse.Namespace) -> int:
    about = About(**{name: getattr(args, name) for name in About.model_fields})
    choice = Choice(args.of_run, args.only, args.weights)
    manifest = submit(args.storage, args.out, about, choice, progress())
    show(_lines(manifest, args.out))
    return 0


def _lines(manifest: Manifest, out: Path) -> list[str]:
    lines = [f"{one.file}: taken out: {told(one.found)}" for one in manifest.stripped]
    absent = manifest.absent()
    lines += [f"{cell.state}: {cell.label}" for cell in absent[:MOST]]
    if len(absent) > MOST:
        lines.append(f"and {len(absent) - MOST} more cells that are not in it; see its manifest")
    size = sum(file.size for file in manifest.files.values())
    done = f"{len(manifest.cells)} cells, {len(manifest.files)} files, {size_text(size)}"
    return [*lines, f"{out}: {done}; 'erase-ray verify {out}' checks it"]
