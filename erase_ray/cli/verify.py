"""The verb ``erase-ray verify``."""

import argparse
import math
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from erase_ray.cli import _rerun
from erase_ray.cli._sample import add_sample, share_of
from erase_ray.cli._tell import answer, damage, progress
from erase_ray.cli._text import show
from erase_ray.errors import SettingsError
from erase_ray.experiment._names import cell_folder
from erase_ray.experiment._open import open_blobs
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.recheck import Rechecked, recheck
from erase_ray.experiment.upkeep.verify import RUN_AGAIN, Verdict, verify
from erase_ray.submission.manifest import Manifest, is_submission
from erase_ray.submission.opened import check_files, opened
from erase_ray.submission.submitted import Submitted

MOST = 3
"""Differences of a cell that are written out."""


def add_commands(commands: Any) -> None:
    """Add the verb to the sub-commands of a parser."""
    what = "check all files of a store or a submission, and compute all its results again"
    parser = commands.add_parser(
        "verify",
        help=what,
        description=f"{what.capitalize()}: every file is compared with its checksum, and every "
        "metric with what the stored answers, data and chains of requests give. Reads no weights "
        "into a model, unless --rerun runs cells again. Ends with 1 if anything differs.",
    )
    parser.add_argument(
        "storage", metavar="STORAGE", help="folder or address of a store, or of a submission"
    )
    add_sample(parser)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="cells computed at once")
    parser.add_argument("--json", action="store_true", help="one JSON object, for machines")
    _rerun.add_rerun(parser)
    parser.set_defaults(run=_verify)


@dataclass(frozen=True)
class _Subject:
    """What is checked: its cells, and what was found of its files."""

    store: Store
    verdict: Verdict
    manifest: Manifest | None = None


def _verify(args: argparse.Namespace) -> int:
    share = share_of(args)
    if args.jobs < 1:
        raise SettingsError(f"--jobs takes a number from 1 on, got {args.jobs}")
    _rerun.check_rerun(args)
    with ExitStack() as stack:
        subject = _subject(args, share, stack)
        _say(args, [*_submission_lines(subject.manifest), *damage(subject.verdict)])
        found = recheck(subject.store, share, args.seed, args.jobs, progress())
        _say(args, _lines(subject.verdict, found))
        value = _plain(subject.verdict, found)
        is_well = not (subject.verdict.findings or found.differences or found.unreadable)
        if args.rerun is not None:
            ran = _rerun.rerun(args, subject.store, _scratch(args, stack))
            value["rerun"] = _rerun.plain(ran, _number)
            is_well = is_well and _rerun.is_confirmed(ran)
    if subject.manifest:
        value["submission"] = _submission(subject.manifest)
    if args.json:
        answer(args, value, [])
    return 0 if is_well else 1


def _subject(args: argparse.Namespace, share: float, stack: ExitStack) -> _Subject:
    if is_submission(args.storage):
        submission = stack.enter_context(opened(Path(args.storage)))
        verdict = check_files(submission, progress())
        store = Submitted(submission.folder, _scratch(args, stack))
        return _Subject(store, verdict, submission.manifest)
    verdict = verify(open_blobs(args.storage, read_only=True), share, args.seed, progress())
    return _Subject(Store(args.storage, read_only=True), verdict)


def _scratch(args: argparse.Namespace, stack: ExitStack) -> Store:
    """Where data are made and cells are run again; gone at the end unless a folder is named."""
    if args.rerun_into:
        return Store(args.rerun_into)
    if not hasattr(args, "scratch"):
        prefix = "erase_ray_verify_"
        args.scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))
    return Store(args.scratch)


def _say(args: argparse.Namespace, lines: list[str]) -> None:
    if lines and not args.json:
        show(lines)


def _submission_lines(manifest: Manifest | None) -> list[str]:
    """What a submission is, and by name what is not in it."""
    if manifest is None:
        return []
    about, absent = manifest.about, manifest.absent()
    by = f" by {about.who}" if about.who else ""
    lines = [
        f"submission '{about.title or 'untitled'}'{by}, {about.when}: {len(manifest.cells)} cells, "
        f"{len(absent)} cells of its plans are not in it"
    ]
    lines += [
        f"  {cell.state}: {cell.label}" + (f" ({cell.error})" * bool(cell.error)) for cell in absent
    ]
    for one in manifest.stripped:
        lines.append(f"  secrets were taken out of {one.file}")
    return lines


def _submission(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", include={"about", "environment", "stripped"}) | {
        "cells": len(manifest.cells),
        "absent": [cell.model_dump(mode="json") for cell in manifest.absent()],
    }


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
