"""The verb ``erase-ray verify``."""

import argparse
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from erase_ray.cli._sample import add_sample, share_of
from erase_ray.cli._tell import answer, damage, progress
from erase_ray.errors import SettingsError
from erase_ray.experiment._names import cell_folder
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.recheck import Rechecked, recheck
from erase_ray.experiment.upkeep.verify import RUN_AGAIN, Verdict, verify

MOST = 3
"""Differences of a cell that are written out."""


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    what = "check all files of a store, and compute all its results again"
    parser = commands.add_parser(
        "verify",
        help=what,
        description=f"{what.capitalize()}: every file is compared with its checksum, and every "
        "metric with what the stored answers, data and chains of requests give. Reads no weights "
        "into a model. Ends with 1 if anything differs.",
    )
    parser.add_argument("storage", metavar="STORAGE", help="folder or address of the store")
    add_sample(parser)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells computed at once")
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    parser.set_defaults(run=_verify)


def _verify(args: argparse.Namespace) -> int:
    share = share_of(args)
    if args.jobs < 1:
        raise SettingsError(f"--jobs takes a number from 1 on, got {args.jobs}")
    tell = progress()
    verdict = verify(open_blobs(args.storage, read_only=True), share, args.seed, tell)
    store = Store(args.storage, read_only=True)
    found = recheck(store, share, args.seed, args.jobs, tell)
    answer(args, _plain(verdict, found), [*damage(verdict), *_lines(verdict, found)])
    return 1 if verdict.findings or found.differences or found.unreadable else 0


def _plain(verdict: Verdict, found: Rechecked) -> dict[str, Any]:
    differences = [
        {name: _number(value) for name, value in asdict(one).items()} for one in found.differences
    ]
    results = vars(found) | {"differences": differences}
    return {"files": asdict(verdict), "results": results}


def _number(value: Any) -> Any:
    """JSON has no word for NaN."""
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _lines(verdict: Verdict, found: Rechecked) -> list[str]:
    by_cell: dict[str, list[str]] = {}
    for one in found.differences:
        by_cell.setdefault(one.cell, []).append(str(one))
    lines: list[str] = []
    for cell, texts in by_cell.items():
        folder = cell_folder(cell)
        more = [f"and {len(texts) - MOST} more"] if len(texts) > MOST else []
        text = "\n  ".join([f"{folder}/results.parquet", *texts[:MOST], *more])
        lines.append(f"{text}\n  -> {RUN_AGAIN.format(folder)}")
    lines += _unreadable(verdict, found)
    done = f"{found.num_cells} cells, {found.num_rows} results computed again"
    differs = f"{len(found.differences)} differ" if found.differences else "nothing differs"
    skipped = ", ".join(f"{num} {reason}" for reason, num in sorted(found.skipped.items()))
    passed = f"; passed over: {skipped}" if skipped else ""
    return [*lines, f"{done}: {differs}{passed}"]


def _unreadable(verdict: Verdict, found: Rechecked) -> Iterator[str]:
    """Cells that cannot be computed again, but for those that are told of already."""
    damaged = {one.name.rpartition("/")[0] for one in verdict.findings}
    for cell, problem in found.unreadable.items():
        if not any(folder in problem for folder in damaged):
            yield f"{cell_folder(cell)}\n  its results cannot be computed again: {problem}"
