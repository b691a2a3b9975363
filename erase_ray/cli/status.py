"""The verb ``erase-ray status``."""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from typing import Any

from erase_ray.errors import SettingsError
from erase_ray.experiment._open import open_blobs
from erase_ray.report.status import RunFiles, StatusReader, status_text, write_status_page
from erase_ray.report.status.standing import RunState, RunStatus

WATCH_S, LEAST_S = 10.0, 1.0
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
"""Cursor to the corner, and everything gone, what was scrolled away as well."""


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    verb = commands.add_parser(
        "status",
        help="how a run stands, from the store alone",
        description="How a run stands: progress, what runs and how fast, time and money. Reads the "
        "store alone, while the run goes on or after its driver has died. Exit code 1 if cells "
        "failed or the driver is silent.",
    )
    verb.add_argument("storage", metavar="STORAGE", help="folder or address of the store")
    verb.add_argument(
        "--run",
        default=None,
        metavar="NAME",
        dest="name",
        help="by default the one that was written to last",
    )
    verb.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=WATCH_S,
        metavar="SECONDS",
        help=f"show it again every so often ({WATCH_S:g} s) until the run is over",
    )
    verb.add_argument("--html", metavar="FILE", help="write a page as well, one file for a browser")
    verb.add_argument("--json", action="store_true", help="one JSON object a look, for machines")
    verb.set_defaults(run=_status)


def _status(args: argparse.Namespace) -> int:
    if args.watch is not None and not args.watch >= LEAST_S:
        raise SettingsError(f"--watch takes seconds from {LEAST_S:g} on, got {args.watch:g}")
    reader = StatusReader(RunFiles(open_blobs(args.storage, read_only=True)))
    status = _look(args, reader, args.name)
    while args.watch is not None and not status.is_over:
        time.sleep(args.watch)
        status = _look(args, reader, status.run)
    return 1 if status.state in (RunState.FAILED, RunState.SILENT) else 0


def _look(args: argparse.Namespace, reader: StatusReader, run: str | None) -> RunStatus:
    status = reader.read(run)
    page = _write_page(args, status) if args.html else ""
    if args.json:
        print(json.dumps(asdict(status)), flush=True)
        return status
    again = args.watch is not None
    begin = CLEAR if again and sys.stdout.isatty() else ""
    end = "" if begin or not again or status.is_over else "\n"
    print(f"{begin}{status_text(status)}{page}{end}", flush=True)
    return status


def _write_page(args: argparse.Namespace, status: RunStatus) -> str:
    every_s = args.watch if args.watch is not None and not status.is_over else None
    path = os.path.abspath(os.path.expanduser(args.html))
    return f"\npage: {write_status_page(status, path, every_s)}"
