"""The verbs of ``erase-ray store``."""

import argparse
from dataclasses import asdict
from typing import Any

from erase_ray.cli._sample import add_sample, share_of
from erase_ray.cli._tell import answer, damage, progress
from erase_ray.cli._text import size_text
from erase_ray.errors import SettingsError
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.upkeep.du import usage
from erase_ray.experiment.upkeep.gc import HOUR_S, gc
from erase_ray.experiment.upkeep.sync import FACTS, sync
from erase_ray.experiment.upkeep.verify import verify
from erase_ray.report.data_text import table


def add_commands(commands: Any) -> None:
    """Add ``store`` and its verbs to the sub-commands of a parser."""
    parser = commands.add_parser("store", help="check, tidy, measure and copy a store")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_verify(verbs)
    _add_gc(verbs)
    _add_du(verbs)
    _add_sync(verbs)


def _add_verify(verbs: Any) -> None:
    verb = _verb(verbs, "verify", "compare all files with the checksums of manifests and names")
    verb.add_argument("uri", metavar="URI", help="folder or address of the store")
    add_sample(verb)
    verb.set_defaults(run=_verify)


def _add_gc(verbs: Any) -> None:
    more = (
        "Weights that nothing names go to trash/ first, where readers still find them; a later "
        "run deletes them, or puts back what is named by then."
    )
    verb = _verb(verbs, "gc", "sweep what no cell needs; safe while cells run", more)
    verb.add_argument("uri", metavar="URI", help="folder or address of the store")
    verb.add_argument(
        "--grace",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="what is younger stays, by the storage's own clock; 24 by default, and no shorter "
        "than a running cell takes from storing weights to its next snapshot or commit",
    )
    verb.add_argument("--dry-run", action="store_true", help="only show what would go")
    verb.set_defaults(run=_gc)


def _add_du(verbs: Any) -> None:
    verb = _verb(verbs, "du", "bytes and files by kind, and by dataset, model and method")
    verb.add_argument("uri", metavar="URI", help="folder or address of the store")
    verb.set_defaults(run=_du)


def _add_sync(verbs: Any) -> None:
    more = (
        "Nothing is overwritten, both may be in use, and the same command goes on with a copy "
        "that was broken off."
    )
    verb = _verb(verbs, "sync", "copy what another store lacks, checked on the way", more)
    verb.add_argument("source", metavar="SRC", help="folder or address to read")
    verb.add_argument("target", metavar="DST", help="folder or address to fill")
    verb.add_argument(
        "--only",
        default="",
        metavar="KEY=VALUE,...",
        help=f"only these cells, with their data and weights; keys: {', '.join(FACTS)}",
    )
    verb.add_argument("--no-runs", action="store_true", help="leave plans, events and reports out")
    verb.set_defaults(run=_sync)


def _verb(verbs: Any, name: str, help: str, more: str = "") -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}. {more}")
    verb.add_argument("--json", action="store_true", help="one JSON object, for machines")
    return verb


def _verify(args: argparse.Namespace) -> int:
    blobs = open_blobs(args.uri, read_only=True)
    verdict = verify(blobs, share_of(args), args.seed, progress())
    answer(args, asdict(verdict), damage(verdict))
    return 1 if verdict.findings else 0


def _gc(args: argparse.Namespace) -> int:
    if not args.grace >= 0:
        raise SettingsError(f"--grace takes hours from 0 on, got {args.grace:g}")
    swept = gc(open_blobs(args.uri), args.grace * HOUR_S, args.dry_run, progress())
    found = {n: {"files": swept.files[n], "bytes": swept.size[n]} for n in sorted(swept.files)}
    rows = [[name, str(one["files"]), size_text(one["bytes"])] for name, one in found.items()]
    lines = table(rows, ("kind", "files", "size"), left=("kind",)) if rows else []
    ending = "nothing was changed (--dry-run)" if args.dry_run else "done"
    answer(args, {"dry_run": args.dry_run, "swept": found}, [*lines, ending])
    return 0


def _du(args: argparse.Namespace) -> int:
    found = usage(open_blobs(args.uri, read_only=True), progress())
    lines: list[str] = []
    for title, used in found.items():
        rows = [
            [name, str(one["files"]), size_text(one["bytes"])]
            for name, one in used.as_dict().items()
            if one["files"]
        ]
        lines += [*table(rows, (title, "files", "size"), left=(title,)), ""]
    kinds = found["kind"]
    lines.append(f"{kinds.files.total()} files, {size_text(kinds.size.total())}")
    answer(args, {title: used.as_dict() for title, used in found.items()}, lines)
    return 0


def _sync(args: argparse.Namespace) -> int:
    source, target = open_blobs(args.source, read_only=True), open_blobs(args.target)
    if source.address == target.address:
        raise SettingsError(f"source and target are the same store, {source.address}")
    copied = sync(source, target, args.only, not args.no_runs, progress())
    text = (
        f"copied {copied.folders} cells and datasets, {copied.weights} weights and {copied.runs} "
        f"files of runs, {size_text(copied.size)}; {copied.there} folders were there"
    )
    answer(args, asdict(copied), [text])
    return 0
