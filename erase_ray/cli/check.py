"""The verb ``erase-ray check``."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from erase_ray.cli._text import show
from erase_ray.contract import KINDS, Candidate, Verdict, find, verdicts
from erase_ray.errors import SettingsError
from erase_ray.settings import parse_assignment

EXAMPLE = (
    "examples: erase-ray check fade; erase-ray check method fade; erase-ray check erase-ray-fade"
)
_MARKS = {"ok": "ok", "failed": "FAILED", "skipped": "skipped"}


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    help = "whether a part, ours or of an installed package, does what its kind promises"
    verb = commands.add_parser(
        "check",
        help=help,
        description=f"Tell {help}. One line a check; ends with 1 if one fails.",
        epilog=EXAMPLE,
    )
    verb.add_argument(
        "names",
        nargs="+",
        metavar="[KIND] NAME",
        help=f"a part, with its kind ({', '.join(KINDS)}) before it if need be; or an installed "
        "package: all of its parts",
    )
    verb.add_argument(
        "--quick", action="store_true", help="one model of each task instead of two, and one task"
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the part while it is checked",
    )
    verb.add_argument(
        "--raw", type=Path, metavar="DIR", help="raw files, for datasets that read some"
    )
    verb.add_argument("--json", action="store_true", help="one JSON object, for machines")
    verb.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    if len(args.names) > 2:
        raise SettingsError(f"check takes NAME or KIND NAME, got {len(args.names)} words")
    settings = dict(parse_assignment(text) for text in args.set)
    parts = [replace(part, settings=settings, raw=args.raw) for part in find(args.names)]
    found = list(_told(parts, args.quick, quiet=args.json))
    failed = sum(one.result == "failed" for one in found)
    if args.json:
        show([json.dumps({"checks": [asdict(one) for one in found], "failed": failed}, indent=1)])
    else:
        passed = sum(one.result == "ok" for one in found)
        skipped = len(found) - passed - failed
        show([f"{passed} checks passed, {failed} failed, {skipped} skipped"])
    return 1 if failed else 0


def _told(parts: list[Candidate], quick: bool, quiet: bool) -> Iterator[Verdict]:
    """Run all checks, one line each as it goes."""
    for part in parts:
        if not quiet:
            show([f"{part.kind} {part.name}"])
        for one in verdicts(part, quick):
            if not quiet:
                show(_lines(one))
            yield one


def _lines(one: Verdict) -> list[str]:
    text = f"  {_MARKS[one.result]:<8}{one.check:<36}{one.seconds:6.1f} s"
    if one.result == "skipped":
        return [f"{text}  {one.reason}"]
    return [text, f"          {one.reason}"] if one.reason else [text]
