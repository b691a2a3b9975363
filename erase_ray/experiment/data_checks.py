"""Is a prepared dataset sound: ids, order, duplicates, split, examples, metadata, categories."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow.compute
import torch

from erase_ray.data.interactions import Interactions
from erase_ray.data.prepare import MIN_LABELLED_SHARE
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Part, Split
from erase_ray.tasks import TASKS, Cut, Task

pc: Any = pyarrow.compute
CUT = Cut(50, torch.device("cpu"))
"""Histories of the length that most models read."""


@dataclass(frozen=True)
class Check:
    """What was looked at and what was found.

    Args:
        name: What should hold.
        status: ``skipped`` where it cannot be looked at; the figures say why.
        figures: The numbers behind it.
    """

    name: str
    status: Literal["ok", "fail", "skipped"]
    figures: str


def judged(name: str, holds: bool, figures: str) -> Check:
    """A check that is ok if ``holds``."""
    return Check(name, "ok" if holds else "fail", figures)


def data_checks(prepared: Prepared) -> Iterator[Check]:
    """The checks that need no scenario, one after the other."""
    task = TASKS.get(prepared.task)()
    checks: tuple[Callable[[], Check], ...] = (
        lambda: _ids(prepared),
        lambda: _order(prepared.interactions),
        lambda: _duplicates(prepared.interactions),
        lambda: _parts(prepared, task),
        lambda: _examples(prepared, task),
        lambda: _metadata(prepared),
    )
    for check in checks:
        yield check()
    for name in sorted(prepared.catalogue.categories):
        yield _category(prepared, name)


def _ids(prepared: Prepared) -> Check:
    table, vocabulary = prepared.interactions, prepared.vocabulary
    named = {"user": vocabulary.users, "item": vocabulary.items, "sequence": vocabulary.sequences}
    faults = []
    for column, names in named.items():
        ids = getattr(table, column)
        used = len(np.unique(ids))
        distinct = pc.count_distinct(names.array).as_py()
        if not used == distinct == len(names) or ids.max(initial=-1) >= len(names):
            faults.append(f"{column}: {used} used, {distinct} different of {len(names)} names")
    sizes = ", ".join(f"{len(names):,} {column}s" for column, names in named.items())
    return judged("every id has one name", not faults, "; ".join(faults) or sizes)


def _order(table: Interactions) -> Check:
    same_R = table.sequence[1:] == table.sequence[:-1]
    key = table.sequence.astype(np.int64) << 32 | table.step
    faults = {
        "rows against the order of sequence and step": np.diff(key) < 0,
        "sequences of two users": same_R & (table.user[1:] != table.user[:-1]),
        "steps back in time": same_R & (np.diff(table.time) < 0),
        "items against the order in a step": (np.diff(key) == 0) & (np.diff(table.item) < 0),
    }
    found = [f"{int(wrong.sum()):,} {what}" for what, wrong in faults.items() if wrong.any()]
    return judged("rows are in order", not found, ", ".join(found) or f"{len(table):,} rows")


def _duplicates(table: Interactions) -> Check:
    key = table.sequence.astype(np.int64) << 32 | table.step
    order = np.lexsort((table.item, key))
    twice = (np.diff(key[order]) == 0) & (np.diff(table.item[order]) == 0)
    pairs = np.unique(table.user.astype(np.int64) << 32 | table.item)
    figures = f"{int(twice.sum()):,} twice in one step, {len(table) - len(pairs):,} repeats later"
    return judged("no duplicates", not twice.any(), figures)


def _parts(prepared: Prepared, task: Task) -> Check:
    table, marks = prepared.interactions, prepared.split.marks
    back = (table.sequence[1:] == table.sequence[:-1]) & (np.diff(marks) < 0)
    trained = np.zeros(table.num_sequences, bool)
    trained[table.sequence[marks == Part.TRAIN]] = True
    other = int((task.split(table).marks != marks).sum())
    figures = [f"{name.lower()} {int((marks == part).sum()):,}" for name, part in _named_parts()]
    figures += [f"{int(back.sum()):,} test or valid rows before an earlier part"] * bool(back.any())
    figures += [f"{int((~trained).sum()):,} sequences without train"] * bool((~trained).any())
    figures += [f"{other:,} rows are not as the task '{task.name}' splits"] * bool(other)
    holds = not back.any() and bool(trained.all()) and not other
    return judged("split is by time", holds, ", ".join(figures))


def _named_parts() -> list[tuple[str, Part]]:
    return [(part.name, part) for part in Part]


def _examples(prepared: Prepared, task: Task) -> Check:
    """Examples must be the same, targets and histories, where valid and test rows are gone."""
    table, split = prepared.interactions, prepared.split
    aimed, prints = _prints(task, table, split)
    leaks = int((split.marks[aimed] != Part.TRAIN).sum())
    rest = table.without(np.flatnonzero(split.marks != Part.TRAIN))
    aimed_alone, alone = _prints(task, rest, split)
    same = np.array_equal(aimed, aimed_alone) and np.array_equal(prints, alone)
    figures = f"{len(aimed):,} examples, {leaks:,} aim at valid or test rows"
    if not same:
        figures += ", histories change when valid and test rows are taken away"
    return judged("train examples show train rows only", same and not leaks, figures)


def _prints(task: Task, table: Interactions, split: Split) -> tuple[np.ndarray, np.ndarray]:
    examples = task.examples(table, split, CUT)
    return examples.rows.numpy(), examples.fingerprints().numpy()


def _metadata(prepared: Prepared) -> Check:
    names, labels = prepared.vocabulary.items, prepared.catalogue.labels
    differs = pc.not_equal(names.array, labels.array)
    labelled = pc.sum(differs).as_py() or 0
    share = labelled / max(len(names), 1)
    figures = f"{labelled:,} of {len(names):,} items have a label ({share:.0%})"
    return judged(
        f"metadata and interactions share ids ({MIN_LABELLED_SHARE:.0%} or more)",
        share >= MIN_LABELLED_SHARE,
        figures,
    )


def _category(prepared: Prepared, name: str) -> Check:
    items_I, table = prepared.catalogue.categories[name], prepared.interactions
    named_R = items_I[table.item]
    num_items, num_rows = int(items_I.sum()), int(named_R.sum())
    users = len(np.unique(table.user[named_R]))
    figures = f"{num_items:,} items, {num_rows:,} rows, {users:,} users"
    return judged(f"category '{name}' is not empty", num_rows > 0, figures)
