"""The verb ``erase-ray compare``."""

import argparse
from typing import Any

from erase_ray.cli._text import show
from erase_ray.experiment.store import Store
from erase_ray.report.compare import Side, compare
from erase_ray.report.compare_text import compare_json, compare_lines
from erase_ray.report.stored import FIELDS

MORE = (
    "Cells of the same key are compared byte by byte and number by number; the others are matched "
    "where they ask the same with other settings or by another version. Exit code 0 if all is "
    "equal, 1 if not."
)


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "what the results of two stores, or of two runs, differ in"
    verb = commands.add_parser("compare", help=help, description=f"Tell {help}. {MORE}")
    verb.add_argument("a", metavar="A", help="folder or address of a store")
    verb.add_argument("b", metavar="B", help="folder or address of another, or of the same")
    verb.add_argument("--run-a", default="", metavar="NAME", help="only cells of this run of A")
    verb.add_argument("--run-b", default="", metavar="NAME", help="only cells of this run of B")
    verb.add_argument(
        "--only",
        default="",
        metavar="KEY=VALUE,...",
        help=f"keep matching cells of both; keys: {', '.join(FIELDS)}",
    )
    verb.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="REL",
        help="numbers that differ by up to this share of the larger are the same; weights are "
        "then told of but not judged",
    )
    verb.add_argument("--json", action="store_true", help="one JSON object, for machines")
    verb.set_defaults(run=_compare)


def _compare(args: argparse.Namespace) -> int:
    sides = [
        Side(Store(uri, read_only=True), run)
        for uri, run in ((args.a, args.run_a), (args.b, args.run_b))
    ]
    found = compare(sides[0], sides[1], args.only, args.tolerance)
    show([compare_json(found)] if args.json else compare_lines(found))
    return 0 if found.is_equal else 1
