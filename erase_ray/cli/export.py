"""The verb ``erase-ray export``."""

import argparse
from typing import Any

from erase_ray.cli._choice import add_choice
from erase_ray.cli._text import show
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.secrets import told
from erase_ray.report.exports import FOLDERS, NO_LICENCE, TARGETS, Exported, export

MORE = (
    "The same command again exports what is new. Only the store is read; it may still be filled. "
    "tensorboard, mlflow, wandb: one run a cell, with the settings as parameters. safetensors: the "
    "weights of each cell at each mark, as files that any program reads. huggingface: a dataset "
    "folder with a card. trec: ranked lists as run files, with qrels."
)


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "finished cells for tools that track experiments, or as files that others read"
    verb = commands.add_parser("export", help=help, description=f"Export {help}. {MORE}")
    verb.add_argument("storage", metavar="STORAGE", help="folder or address of the store")
    verb.add_argument("--to", required=True, choices=[*TARGETS, *FOLDERS], help="the tool or form")
    verb.add_argument(
        "--out",
        required=True,
        metavar="DIR_OR_URI",
        help="folder to write to; for mlflow also the address of a tracking server",
    )
    add_choice(verb)
    verb.add_argument(
        "--shadows", action="store_true", help="also the models that only calibrate audits"
    )
    verb.add_argument(
        "--licence", default=NO_LICENCE, metavar="ID", help="of the results, for huggingface"
    )
    verb.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    store = Store(args.storage, read_only=True)
    done = export(
        store, args.to, args.out, args.of_run, args.only, args.shadows, licence=args.licence
    )
    show([_text(done, args.out)])
    return 0


def _text(done: Exported, out: str) -> str:
    text = f"cells exported to {out}: {done.new} new, {done.there} were there"
    if done.shadows:
        text += f"; shadow models left out: {done.shadows} (--shadows exports them)"
    for reason, count in sorted(done.skipped.items()):
        text += f"; passed over: {count} {reason}"
    if done.stripped:
        text += f"; secrets taken out: {told(done.stripped)}"
    return text
