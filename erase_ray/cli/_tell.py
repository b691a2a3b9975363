"""What long commands say while they run and when they end."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from erase_ray.cli._text import show, size_text
from erase_ray.experiment.upkeep.verify import Verdict

TELL_S = 2.0
"""Seconds from one line of progress to the next."""


def answer(args: argparse.Namespace, value: Any, lines: list[str]) -> None:
    """Print ``value`` as JSON where ``--json`` asks for it, else the lines."""
    show([json.dumps(value, indent=1)] if args.json else lines)


def damage(verdict: Verdict) -> list[str]:
    """What is damaged in a store, where and what to do, and how much was read."""
    lines = [f"{f.name}\n  {f.problem}\n  -> {f.remedy}" for f in verdict.findings]
    read = f"{verdict.num_files} files, {size_text(verdict.num_bytes)} read"
    return [*lines, f"{read}: {len(lines) or 'nothing'} damaged"]


def progress() -> Callable[[str, int, int], None]:
    """Tells on standard error what is done, now and then: its name, how many, and of how many."""
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_S:
            last = time.monotonic()
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    return tell
