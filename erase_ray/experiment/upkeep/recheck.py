"""Whether the results in a store are those that its answers are worth."""

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from erase_ray import pulse
from erase_ray.errors import StoreError
from erase_ray.experiment.cell import Cell
from erase_ray.experiment.recompute import (
    Difference,
    Questions,
    differences,
    recompute,
    why_skipped,
)
from erase_ray.experiment.store import Store
from erase_ray.experiment.upkeep.inventory import Told, silent

Compared = tuple[int, list[Difference]]
"""Rows of results of a cell, and where they differ."""


@dataclass(eq=False)
class Rechecked:
    """What came of computing the results of cells again.

    Args:
        differences: Cell by cell and row by row.
        unreadable: By key of a cell, why it could not be computed again.
        skipped: How many cells there was nothing to compute of, by reason; none is a fault.
        num_cells: How many were computed again.
        num_rows: Rows of results in them.
    """

    differences: list[Difference] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    num_cells: int = 0
    num_rows: int = 0


def recheck(
    store: Store, share: float = 1.0, seed: int = 0, jobs: int = 1, tell: Told = silent
) -> Rechecked:
    """Compute the results of all committed cells again and compare them with the stored ones.

    Cells that were asked the same are done together, so that data and chain are read once.

    Args:
        store: Has the cells.
        share: Part of the cells that is computed again, 0 to 1.
        seed: Draws that part.
        jobs: Cells that are worked on at once.
        tell: Progress.
    """
    draw, found = random.Random(seed), Rechecked()
    chosen = [key for key in sorted(store.done_cells()) if draw.random() < share]
    chains = _by_chain(store, chosen, found)
    done = len(chosen) - sum(map(len, chains.values()))
    for _, cells in sorted(chains.items()):
        for key, compared in _compared(store, cells, jobs):
            pulse.beat()
            done += 1
            tell("results", done, len(chosen))
            if isinstance(compared, StoreError):
                found.unreadable[key] = _line(compared)
                continue
            found.num_cells += 1
            found.num_rows += compared[0]
            found.differences += compared[1]
    return found


def _by_chain(
    store: Store, keys: list[str], found: Rechecked
) -> dict[tuple[str, str], dict[str, Cell]]:
    """Cells to compute again by what they were asked; notes in ``found`` why others are not."""
    chains: dict[tuple[str, str], dict[str, Cell]] = {}
    for key in keys:
        try:
            settings = store.settings(key)
        except StoreError as error:
            found.unreadable[key] = _line(error)
            continue
        if reason := why_skipped(settings, key):
            found.skipped[reason] += 1
            continue
        cell = Cell(**settings)
        chains.setdefault((cell.data_key, cell.chain_key), {})[key] = cell
    return chains


def _compared(
    store: Store, cells: dict[str, Cell], jobs: int
) -> Iterator[tuple[str, Compared | StoreError]]:
    """Each of the cells with one chain, and what came of it."""
    try:
        asked = Questions.of(next(iter(cells.values())), store)
    except StoreError as error:
        yield from ((key, error) for key in cells)
        return

    def compare(key: str) -> Compared | StoreError:
        try:
            stored = store.table(key, "results")
            return len(stored), differences(key, stored, recompute(store, key, asked))
        except StoreError as error:
            return error

    with ThreadPoolExecutor(jobs) as pool:
        yield from zip(cells, pool.map(compare, cells), strict=True)


def _line(error: StoreError) -> str:
    return " ".join(str(error).split())
