"""The verb ``erase-ray report``."""

import argparse
import shlex
import sys
from typing import Any

from erase_ray.cli._text import show
from erase_ray.errors import SettingsError
from erase_ray.experiment.store import Store
from erase_ray.report.evidence import gather
from erase_ray.report.options import Options
from erase_ray.report.page import write
from erase_ray.report.run_files import read_runs
from erase_ray.report.table_files import DEFAULT_FORMATS, FORMATS, parse_formats
from erase_ray.report.terminal import table_of

EXAMPLE = "example: erase-ray report ./runs --out ./report --only 'task=cf,method=scif|gif'"


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    verb = commands.add_parser(
        "report",
        help="tables, charts and a page about what is in a store",
        description="Write index.html, tables/ and figures/ about the cells of a store, finished "
        "or not. Nothing is changed in the store, and it may be in use.",
        epilog=EXAMPLE,
    )
    verb.add_argument("uri", metavar="STORAGE", help="folder or address of the store")
    verb.add_argument("--out", required=True, metavar="DIR", help="folder or address to write to")
    verb.add_argument(
        "--run", default="", metavar="NAME", dest="of_run", help="only the cells of this run"
    )
    verb.add_argument(
        "--only",
        default="",
        metavar="KEY=VALUE,...",
        help="only these cells, with | between several values of a key; original and retrained "
        "models stay",
    )
    _add_judging(verb)
    verb.add_argument(
        "--format",
        default=",".join(DEFAULT_FORMATS),
        metavar="NAME,...",
        help=f"what to write: all, or some of {', '.join(FORMATS)}",
    )
    verb.set_defaults(run=_report)


def _add_judging(verb: argparse.ArgumentParser) -> None:
    known = Options()
    verb.add_argument(
        "--margin",
        type=float,
        default=known.margin,
        metavar="SHARE",
        help="utility counts as equal within this share of the retrained model's",
    )
    verb.add_argument(
        "--forgetting-margin",
        type=float,
        default=known.forgetting_margin,
        metavar="SHARE",
        help="forgetting counts as equal within this share of the requesters",
    )
    verb.add_argument("--level", type=float, default=known.level, help="coverage of intervals")
    verb.add_argument(
        "--resamples", type=int, default=known.resamples, metavar="N", help="of the bootstrap"
    )
    verb.add_argument(
        "--no-intervals", action="store_true", help="no intervals and no verdicts; much faster"
    )
    verb.add_argument(
        "--most-bytes",
        type=float,
        default=known.most_bytes,
        metavar="N",
        help="stored answers to read at most; above, intervals rest on seeds alone",
    )


def _report(args: argparse.Namespace) -> int:
    formats = parse_formats(args.format)
    options = Options(
        margin=args.margin,
        forgetting_margin=args.forgetting_margin,
        level=args.level,
        resamples=args.resamples,
        intervals=not args.no_intervals,
        most_bytes=args.most_bytes,
    )
    store = Store(args.uri, read_only=True)
    runs = read_runs(store, args.of_run)
    keys = set(runs.labels) if args.of_run else store.done_cells() | set(runs.labels)
    if not keys:
        where = f"run {args.of_run}" if args.of_run else store.uri
        raise SettingsError(f"{where} has no cells, planned or done; is it the right storage?")
    evidence = gather(store, keys, options, runs=runs, only=args.only)
    command = shlex.join(["erase-ray", *sys.argv[1:]])
    written = write(evidence, args.out, command=command, formats=formats)
    counts = [f"{len(written.tables)} tables", f"{len(written.figures)} figures"]
    show(
        [table_of(evidence.cells), "", f"report: {written.page or args.out} ({', '.join(counts)})"]
    )
    return 0
