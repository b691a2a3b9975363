"""A user's data frame as the table that models and methods read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from erase_ray.api._columns import Columns
from erase_ray.data.clean import order_by, rank_in_group, runs
from erase_ray.data.ids import Ids
from erase_ray.data.interactions import Interactions
from erase_ray.data.names import Names
from erase_ray.data.prepare import numbered
from erase_ray.data.split import Part, Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.datasets import ItemTable, RawData
from erase_ray.datasets import _own_rows as own
from erase_ray.datasets.table import Table
from erase_ray.errors import DataError
from erase_ray.tasks import TASKS

Marks = Any
"""``task``, ``all``, or the name of a column (or a list) of ``train``, ``valid`` and ``test``."""
RULES = ("task", "all")


class Known(Protocol):
    """Outer ids that a model was made with; None where it does not matter which they are."""

    @property
    def users(self) -> Names | None:
        """Of users, position = row of the model's tables."""
        ...

    @property
    def items(self) -> Names | None:
        """Of items."""
        ...


@dataclass(frozen=True, eq=False)
class OwnTable:
    """A frame with inner ids.

    Args:
        frame: As it was given.
        interactions: The table, sorted.
        split: Mark of each of its rows.
        vocabulary: Outer ids.
        row_F: Row id of each row of the frame, int64; rows that say the same share one.
        task: Name of the task.
    """

    frame: pd.DataFrame
    interactions: Interactions
    split: Split
    vocabulary: Vocabulary
    row_F: np.ndarray
    task: str

    def __len__(self) -> int:
        return len(self.frame)


def table_of(
    frame: pd.DataFrame,
    task: str,
    columns: Mapping[str, str],
    split: Marks = "task",
    known: Known | None = None,
) -> OwnTable:
    """The table of a frame, in the order and with the numbers that preparation gives.

    Args:
        frame: One row an interaction.
        task: Name of the task.
        columns: Names in the frame by what they are for, where they differ.
        split: Which rows are trained on.
        known: Ids of a model; without it they are numbered anew.

    Raises:
        DataError: The frame is not what the task needs, or has ids that are not known.
        UnknownNameError: There is no such task.
    """
    TASKS.get(task)
    given = Columns.of(frame, task, columns)
    first_G, group_F, step_G = _grouped(given)
    rows, sequence = given.rows.take(first_G), given.sequence.take(first_G)
    no_items = ItemTable(Names.of(()), Names.of(()), {})
    raw = RawData(rows.user, sequence, rows.item, step_G, _time(given)[first_G], no_items)
    interactions, vocabulary = numbered(raw)
    interactions, vocabulary = _renumbered(interactions, vocabulary, known)
    row_F = _row_ids(raw, vocabulary)[group_F]
    marks = _split(interactions, task, split, frame, row_F)
    return OwnTable(frame, interactions, marks, vocabulary, row_F, task)


def _grouped(given: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that say the same as one.

    Returns:
        The first row of each group, the group of each row, and the step of each group.
    """
    is_basket = given.task == "next_basket"
    owner, when = given.sequence.codes, _when(given)
    order = order_by(owner, when, given.rows.item.codes)
    number = runs(owner[order], when[order], given.rows.item.codes[order])
    group_F = np.empty(len(order), np.int64)
    group_F[order] = number
    first_G = order[np.flatnonzero(np.diff(number, prepend=-1))]
    order = order_by(owner[first_G], when[first_G], first_G)
    owner_G, when_G = owner[first_G][order], when[first_G][order]
    step_G = np.empty(len(order), np.int32)
    if is_basket:
        basket = runs(owner_G, when_G)
        heads = np.flatnonzero(np.diff(basket, prepend=-1))
        step_G[order] = rank_in_group(owner_G[heads])[basket]
    else:
        step_G[order] = rank_in_group(owner_G)
    return first_G, group_F, step_G


def _when(given: Columns) -> np.ndarray:
    """What orders the rows of a sequence; equal inside a basket."""
    return _moments(given)[0] if given.task == "next_basket" else given.rows.time


def _time(given: Columns) -> np.ndarray:
    return _moments(given)[1] if given.task == "next_basket" else given.rows.time


def _moments(given: Columns) -> tuple[np.ndarray, np.ndarray]:
    return own.basket_moments(given.rows, Table.Settings(task="next_basket"))


def _renumbered(
    table: Interactions, names: Vocabulary, known: Known | None
) -> tuple[Interactions, Vocabulary]:
    """The table with the numbers that ``known`` gives, sorted by them inside each step."""
    if known is None:
        return table, names
    user, users, num_users = table.user, names.users, table.num_users
    if known.users is not None:
        user = _positions(names.users, known.users, "user")[table.user]
        users, num_users = known.users, len(known.users)
    item, items, num_items = table.item, names.items, table.num_items
    if known.items is not None:
        item = _positions(names.items, known.items, "item")[table.item]
        items, num_items = known.items, len(known.items)
    order = order_by(table.sequence, table.step, item)
    columns = dict(table.columns()) | {"user": user, "item": item}
    again = Interactions.prepared({name: column[order] for name, column in columns.items()})
    sized = replace(again, num_users=num_users, num_items=num_items)
    return sized, Vocabulary(users, items, names.sequences)


def _positions(wanted: Names, known: Names, what: str) -> np.ndarray:
    found = known.positions(wanted)
    if (found < 0).any():
        unknown = wanted[int(np.flatnonzero(found < 0)[0])]
        raise DataError(
            f"{int((found < 0).sum())} of {len(wanted)} {what}s of the frame are not among the "
            f"{len(known)} that the model knows, such as '{unknown}'; leave their rows out, or "
            f"say which {what} each row of the model's tables is: {what}s=[...]"
        )
    return found


def _row_ids(raw: RawData, vocabulary: Vocabulary) -> np.ndarray:
    """Row id of each raw row: its place once sorted by sequence, step and item."""
    sequence, item = _inner(raw.sequence, vocabulary.sequences), _inner(raw.item, vocabulary.items)
    row = np.empty(len(raw), np.int64)
    row[order_by(sequence, raw.step, item)] = np.arange(len(raw))
    return row


def _inner(ids: Ids, names: Names) -> np.ndarray:
    return names.positions(ids.names)[ids.codes]


def _split(
    table: Interactions, task: str, split: Marks, frame: pd.DataFrame, row_F: np.ndarray
) -> Split:
    if isinstance(split, str) and split == "task":
        return TASKS.get(task)().split(table)
    if isinstance(split, str) and split == "all":
        return Split(np.zeros(len(table), np.int8))
    if isinstance(split, str) and split not in frame:
        raise DataError(f"split must be 'task', 'all' or a column of the frame, got '{split}'")
    texts = _texts(frame, split)
    if len(texts) != len(frame):
        raise DataError(f"split has {len(texts)} entries, the frame has {len(frame)} rows")
    known = {part.name.lower(): int(part) for part in Part}
    wrong = [text for text in texts if text not in known]
    if wrong:
        raise DataError(f"split must hold {', '.join(known)}; it holds {wrong[0]!r}")
    marks = np.zeros(len(table), np.int8)
    marks[row_F] = [known[text] for text in texts]
    return Split(marks)


def marks_of(table: OwnTable) -> Any:
    """The mark of each row of the frame, by its label if labels tell rows apart."""
    names = {int(part): part.name.lower() for part in Part}
    texts = [names[mark] for mark in table.split.marks[table.row_F].tolist()]
    return pd.Series(texts, table.frame.index) if table.frame.index.is_unique else texts


def _texts(frame: pd.DataFrame, split: Marks) -> list[Any]:
    """One mark a row; a series is read by labels where it has those of the frame."""
    if isinstance(split, str):
        return frame[split].tolist()
    if isinstance(split, pd.Series) and split.index.is_unique:
        if not frame.index.isin(split.index).all():
            raise DataError(
                "the split has no mark for some labels of the frame; give the frame that the "
                "model was made for, or split= with one mark a row"
            )
        return split.reindex(frame.index).tolist()
    return list(split)
