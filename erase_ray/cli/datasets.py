"""The verbs of ``erase-ray datasets``."""

import argparse
from pathlib import Path
from typing import Any

from erase_ray.cli import _describe, _fetch, _list, _prepare, _synthesize

STORAGE = "./runs"


def add_commands(commands: Any) -> None:
    """Add ``datasets`` and its verbs to the sub-commands of a parser."""
    parser = commands.add_parser("datasets", help="raw files, preparation and checks of datasets")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_list(verbs)
    _add_fetch(verbs)
    _add_prepare(verbs)
    _add_describe(verbs)
    _add_check(verbs)
    _add_synthesize(verbs)


def _add_list(verbs: Any) -> None:
    verb = verbs.add_parser("list", help="all datasets with task, size, licence and raw files")
    verb.add_argument("--markdown", action="store_true", help="the page of the documentation")
    verb.set_defaults(run=_list.run)


def _add_fetch(verbs: Any) -> None:
    verb = _named(verbs, "fetch", "download raw files, or say which to download by hand")
    _add_cache(verb)
    verb.add_argument("--force", action="store_true", help="download again what is there")
    verb.set_defaults(run=_fetch.run)


def _add_prepare(verbs: Any) -> None:
    verb = _named(verbs, "prepare", "read raw files, clean and split them, put all in the store")
    _add_reading(verb)
    verb.add_argument("--force", action="store_true", help="make anew what the store has")
    verb.set_defaults(run=_prepare.run)


def _add_describe(verbs: Any) -> None:
    verb = _named(verbs, "describe", "sizes, split, popularity, lengths, categories, samples")
    _add_reading(verb)
    verb.add_argument("--plot", metavar="FILE", help="also draw a small plot: .png or .html")
    verb.add_argument("--sample", type=int, default=10, metavar="N", help="items a category")
    verb.add_argument("--seed", type=int, default=0, help="draws the samples")
    verb.set_defaults(run=_describe.describe)


def _add_check(verbs: Any) -> None:
    verb = _named(verbs, "check", "look for leaks, duplicates, two id spaces, empty categories")
    _add_reading(verb)
    verb.add_argument("--seed", type=int, default=2, help="draws who asks for forgetting")
    verb.add_argument(
        "--scenario",
        action="append",
        metavar="TEXT",
        help="such as 'sensitive category=meat fraction=1e-4', instead of the usual ones",
    )
    verb.set_defaults(run=_describe.check)


def _add_synthesize(verbs: Any) -> None:
    verb = _named(verbs, "synthesize", "write made-up raw files in the original format")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    verb.add_argument("--scale", type=float, default=1.0, help="1 is about ten thousand rows")
    verb.add_argument("--seed", type=int, default=0, help="root of all draws")
    verb.add_argument("--no-truth", action="store_true", help="leave truth.json out: it is slow")
    verb.add_argument("--force", action="store_true", help="also into a folder with files in it")
    verb.set_defaults(run=_synthesize.run)


def _named(verbs: Any, name: str, help: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    verb.add_argument("name", metavar="NAME", help="a dataset that 'datasets list' shows")
    return verb


def _add_cache(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--cache", metavar="DIR", help="raw files and parsed columns; the user's cache by default"
    )


def _add_reading(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--raw", type=Path, metavar="DIR", help="your folder with the raw files")
    verb.add_argument("--storage", metavar="URI", help=f"folder or address; {STORAGE} by default")
    verb.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the dataset"
    )
    verb.add_argument("--skip-bad", action="store_true", help="leave bad lines out, counted")
    verb.add_argument("--memory", default="4GiB", metavar="SIZE", help="budget of reading")
    _add_cache(verb)
