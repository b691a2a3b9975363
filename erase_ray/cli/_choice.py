"""The options ``--run`` and ``--only`` of verbs that take some of the finished cells."""

import argparse

from erase_ray.report.stored import FIELDS


def add_choice(verb: argparse.ArgumentParser) -> None:
    """Add them to a verb, as ``of_run`` and ``only``."""
    verb.add_argument("--run", default="", dest="of_run", metavar="NAME", help="cells of this run")
    verb.add_argument(
        "--only",
        default="",
        metavar="KEY=VALUE,...",
        help=f"keep matching cells; keys: {', '.join(FIELDS)}",
    )
