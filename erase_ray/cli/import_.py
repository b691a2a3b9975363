"""The verbs of ``erase-ray import``."""

import argparse
from pathlib import Path
from typing import Any

from erase_ray.cli import import_data, import_erase, import_weights
from erase_ray.imports.maps import map_names
from erase_ray.imports.recbole_data import TASKS


def add_commands(commands: Any) -> None:
    """Add ``import`` and its verbs to the sub-commands of a parser."""
    parser = commands.add_parser("import", help="data, weights and results of RecBole and ERASE")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_data(verbs)
    _add_weights(verbs)
    _add_erase(verbs)


def _add_data(verbs: Any) -> None:
    more = (
        "Without --out and --storage the grid is shown. Baskets (_merged.json) become a table "
        "beside the grid, or in the working directory."
    )
    verb = _verb(verbs, "recbole-data", "atomic files or baskets as data of ours", more)
    verb.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE_OR_DIR", help=".inter, _merged.json or folder"
    )
    verb.add_argument("--task", default="", choices=TASKS, help="sessions decide by default")
    verb.add_argument("--core", type=int, default=0, metavar="K", help="fewest rows of all")
    verb.add_argument(
        "--min-rating", type=float, default=0.0, metavar="R", help="lowest that counts"
    )
    verb.add_argument(
        "--category",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="sensitive items, outer ids one a line",
    )
    verb.add_argument("--out", type=Path, metavar="FILE", help="write a grid for --grid of jobs")
    verb.add_argument("--storage", metavar="URI", help="prepare the data into this store")
    verb.add_argument("--memory", default="4GiB", metavar="SIZE", help="budget of reading")
    verb.set_defaults(run=import_data.run)


def _add_weights(verbs: Any) -> None:
    more = (
        "The file is read without being run: only tensors and plain containers are admitted. "
        "Without --inter or --items the rows keep the order of the file."
    )
    verb = _verb(verbs, "weights", "a checkpoint of RecBole as plain weights of ours", more)
    verb.add_argument("file", type=Path, metavar="FILE", help="a .pth file")
    verb.add_argument(
        "--model", default="", choices=["", *map_names()], help="what the file records by default"
    )
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    verb.add_argument("--inter", type=Path, metavar="FILE", help="the data it was trained on")
    verb.add_argument("--core", type=int, metavar="K", help="filter of that data, if not recorded")
    verb.add_argument(
        "--items", type=Path, metavar="FILE", help="outer ids in its order, one a line"
    )
    verb.add_argument("--users", type=Path, metavar="FILE", help="the same for users")
    verb.add_argument("--storage", metavar="URI", help="store of the dataset that --onto names")
    verb.add_argument(
        "--onto", default="", metavar="DATASET[/KEY]", help="put rows in the order of this dataset"
    )
    verb.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the model"
    )
    verb.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="a layer or table that cannot be told by its shape",
    )
    verb.add_argument("--json", action="store_true", help="one JSON object, for machines")
    verb.set_defaults(run=import_weights.run)


def _add_erase(verbs: Any) -> None:
    more = (
        "Without --storage and --weights it only says what there is. Rows of results go to "
        "imported/NAME of the store, marked source=erase."
    )
    verb = _verb(verbs, "erase", "a folder of artefacts of ERASE", more)
    verb.add_argument("folder", type=Path, metavar="FOLDER", help="files anywhere below it")
    verb.add_argument("--storage", metavar="URI", help="store for results and requests")
    verb.add_argument("--name", default="", metavar="NAME", help="of the results in the store")
    verb.add_argument(
        "--weights", type=Path, metavar="DIR", help="also make weights of checkpoints"
    )
    verb.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=DATASET[/KEY]",
        help="prepared data in the store for forget sets of NAME",
    )
    verb.add_argument("--json", action="store_true", help="one JSON object, for machines")
    verb.set_defaults(run=import_erase.run)


def _verb(verbs: Any, name: str, help: str, more: str) -> argparse.ArgumentParser:
    return verbs.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}. {more}")
