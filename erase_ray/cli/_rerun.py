"""Running cells once more for ``erase-ray verify --rerun``: options and what is said of each."""

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch

from erase_ray.cli._text import show
from erase_ray.errors import SettingsError
from erase_ray.experiment.recompute import Difference
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.rerun import (
    CLOSE,
    DIFFERS,
    EQUAL,
    NOT_RUN,
    PREPARED,
    TOLERANCE,
    Rerun,
    Rerunner,
)
from erase_ray.experiment.upkeep.sample import sample_size, stratified
from erase_ray.report.read import CellInfo, is_measured
from erase_ray.report.stored import FIELDS, stored_cells

MOST = 3
"""Differences of a cell that are written out."""


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """Add ``--rerun`` and what goes with it."""
    group = parser.add_argument_group("running cells again")
    group.add_argument(
        "--rerun",
        metavar="N|P%",
        help="run a sample of cells again, with all that they need, and compare every number: "
        "so many, or this share; methods take turns, --seed draws",
    )
    group.add_argument(
        "--rerun-into",
        metavar="DIR",
        help="keep what the check makes in this folder; the same command goes on there",
    )
    keys = ", ".join(FIELDS)
    group.add_argument(
        "--only", default="", metavar="KEY=VALUE,...", help=f"sample matching cells; keys: {keys}"
    )
    group.add_argument(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="of the larger of two numbers that is no difference; 0 on the same kind of device "
        f"with the same versions, else {TOLERANCE:g}",
    )
    group.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads of torch")


def check_rerun(args: argparse.Namespace) -> None:
    """Check the options before any work.

    Raises:
        SettingsError: One is out of range, or goes with ``--rerun`` and that is not there.
    """
    if args.rerun is not None:
        sample_size(args.rerun, 1)
    elif args.only or args.tolerance is not None:
        raise SettingsError(
            "--only and --tolerance go with --rerun; say how many cells, such as 5%"
        )
    if args.tolerance is not None and not 0 <= args.tolerance < 1:
        raise SettingsError(f"--tolerance takes a share from 0 to 1, got {args.tolerance:g}")
    if args.threads < 1:
        raise SettingsError(f"--threads takes a number from 1 on, got {args.threads}")


def rerun(args: argparse.Namespace, store: Store, scratch: Store) -> list[Rerun]:
    """Run the sample; a line a cell is shown when it is done, unless machines listen."""
    again = Rerunner(store, scratch, args.tolerance)
    cells = [c for c in stored_cells(store, only=args.only) if is_measured(c.settings)]
    if not cells:
        raise SettingsError("--rerun: there is no cell with results to run again")
    keys = stratified(
        {cell.key: _stratum(cell) for cell in cells}, sample_size(args.rerun, len(cells)), args.seed
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(args.threads)
    try:
        return list(_shown(again.run(keys), len(cells), not args.json))
    finally:
        torch.set_num_threads(threads)


def is_confirmed(found: list[Rerun]) -> bool:
    """Whether no cell differs, and at least one could be run."""
    statuses = {one.status for one in found}
    return DIFFERS not in statuses and bool(statuses & {EQUAL, CLOSE})


def plain(found: list[Rerun], number: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """For JSON, with numbers as ``number`` makes them."""
    return [
        asdict(one)
        | {"differences": [_plain(each, number) for each in one.differences]}
        | {"around": [{"name": n, "there": a, "here": b} for n, a, b in one.around]}
        for one in found
    ]


def _plain(one: Difference, number: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: number(value) for name, value in asdict(one).items()}


def _shown(found: Iterator[Rerun], population: int, aloud: bool) -> Iterator[Rerun]:
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.status] += 1
        if aloud:
            show(_lines(one))
        yield one
    if aloud:
        words = {EQUAL: "equal", CLOSE: "close", DIFFERS: "differ", NOT_RUN: "could not be run"}
        told = ", ".join(
            f"{counts[status]} {word}" for status, word in words.items() if counts[status]
        )
        show([f"{counts.total()} of {population} cells run again: {told}"])


def _stratum(cell: CellInfo) -> str:
    return f"{cell.method}+{cell.audit}"


def _lines(one: Rerun) -> Iterator[str]:
    name = f"{one.label} ({one.key[:12]})"
    if one.status == NOT_RUN:
        yield f"not run  {name}: could not be run again: {one.reason}"
        return
    around = ", ".join(f"{what} {there} there, {here} here" for what, there, here in one.around)
    data = "; data as prepared by the store, its raw files are not here" * (one.data == PREPARED)
    end = f"{one.num_rows} numbers, {one.seconds:.1f} s{data}"
    if one.status == EQUAL:
        yield f"equal    {name}: {end}" + (f"; {around}" if around else "")
        return
    within = f"{100 * one.tolerance:g} %" if one.tolerance else "any bit"
    if one.status == CLOSE:
        yield f"close    {name}: within {within}: {end}; {around or 'as --tolerance allows'}"
        return
    what = (
        f"{len(one.differences)} differ by more than {within}"
        if one.tolerance
        else (f"{len(one.differences)} differ")
    )
    yield f"differs  {name}: {what}, of {end}" + (f"; {around}" if around else "")
    worst = sorted(one.differences, key=_size, reverse=True)
    yield from (f"  {_text(each)}" for each in worst[:MOST])
    if len(worst) > MOST:
        yield f"  and {len(worst) - MOST} more"
    if not one.around:
        yield "  device and versions are the same; another processor may round otherwise"


def _size(one: Difference) -> float:
    """Relative difference; infinite where there is none to tell."""
    a, b = one.stored, one.recomputed
    if not (
        isinstance(a, float) and isinstance(b, float) and math.isfinite(a) and math.isfinite(b)
    ):
        return math.inf
    return abs(a - b) / (max(abs(a), abs(b)) or 1.0)


def _text(one: Difference) -> str:
    where = f"{one.metric} at {one.k}, mark {one.mark}"
    if not one.column:
        return f"{where}: the row is {'too many' if one.recomputed is None else 'missing'}"
    return f"{where}: {one.column} is {one.stored!r}, run again {one.recomputed!r}"
