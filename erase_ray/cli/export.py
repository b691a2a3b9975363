"""The verb ``erase-ray export``."""

import argparse
from typing import Any

from erase_ray.cli._text import show
from erase_ray.experiment.store import Store
from erase_ray.report.exports import TARGETS, export
from erase_ray.report.stored import FIELDS

MORE = (
    "One run a cell, with the settings as parameters. The same command again exports what is new. "
    "Only the store is read; it may still be filled."
)


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "finished cells for TensorBoard, MLflow or Weights & Biases"
    verb = commands.add_parser("export", help=help, description=f"Export {help}. {MORE}")
    verb.add_argument("storage", metavar="STORAGE", help="folder or address of the store")
    verb.add_argument("--to", required=True, choices=TARGETS, help="the tool")
    verb.add_argument(
        "--out",
        required=True,
        metavar="DIR_OR_URI",
        help="folder to write to; for mlflow also the address of a tracking server",
    )
    verb.add_argument("--run", default="", dest="of_run", metavar="NAME", help="cells of this run")
    verb.add_argument(
        "--only",
        default="",
        metavar="KEY=VALUE,...",
        help=f"keep matching cells; keys: {', '.join(FIELDS)}",
    )
    verb.add_argument(
        "--shadows", action="store_true", help="also the models that only calibrate audits"
    )
    verb.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    store = Store(args.storage, read_only=True)
    done = export(store, args.to, args.out, args.of_run, args.only, args.shadows)
    text = f"cells exported to {args.out}: {done.new} new, {done.there} were there"
    if done.shadows:
        text += f"; shadow models left out: {done.shadows} (--shadows exports them)"
    show([text])
    return 0
