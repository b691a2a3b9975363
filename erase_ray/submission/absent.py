"""Cells of the plans that are not in a submission, by name and with the reason."""

import json
from collections import Counter
from collections.abc import Iterable

from erase_ray.experiment.plan import DATA
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.secrets import cleaned
from erase_ray.report.read import CellInfo
from erase_ray.report.run_files import read_runs
from erase_ray.report.stored import name_of
from erase_ray.submission.manifest import AbsentCell, PackedRun


def packed_run(
    store: Store, run: str, plan: str, content: bytes, packed: set[str], done: set[str]
) -> PackedRun:
    """What a run planned, and which of it is not there.

    Args:
        store: Has the run.
        run: Its name.
        plan: Name of the file with the plan.
        content: The plan.
        packed: Keys of the cells that are in the submission.
        done: Keys of all finished cells of the store.
    """
    nodes = [node for node in json.loads(content)["nodes"] if node.get("kind") != DATA]
    told = read_runs(store, run)
    errors = {failure.key: failure.error for failure in told.failures}
    absent = [
        _absent(node["key"], str(node.get("label", "")), done, errors, told.blocked)
        for node in nodes
        if node["key"] not in packed
    ]
    return PackedRun(plan=plan, num_cells=len(nodes), absent=absent)


def left_out(
    cells: Iterable[CellInfo], packed: set[str], runs: Iterable[PackedRun]
) -> list[AbsentCell]:
    """Finished cells that were not chosen and that no packed plan names."""
    known = packed | {cell.key for run in runs for cell in run.absent}
    return [
        AbsentCell(key=cell.key, label=cleaned(name_of(cell), Counter()), state="left out")
        for cell in cells
        if cell.key not in known
    ]


def _absent(
    key: str, label: str, done: set[str], errors: dict[str, str], blocked: dict[str, str]
) -> AbsentCell:
    if key in done:
        return AbsentCell(key=key, label=label, state="left out")
    if key in errors:
        error = cleaned(errors[key], Counter())
        return AbsentCell(key=key, label=label, state="failed", error=error)
    return AbsentCell(
        key=key, label=label, state="missing", error=cleaned(blocked.get(key, ""), Counter())
    )
