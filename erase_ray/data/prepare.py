"""From raw data to a dataset that is ready for training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import COLUMNS, Interactions
from erase_ray.data.prepared import Prepared
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary, number
from erase_ray.datasets import Dataset, RawData
from erase_ray.errors import DataError

OUTER = ("user", "sequence", "item")
MIN_LABELLED_SHARE = 0.5
"""Share of the items that must have a label; fewer mean that labels and rows use different ids."""


def prepare(dataset: Dataset, raw: RawData, split: Callable[[Interactions], Split]) -> Prepared:
    """Number the ids, sort the rows, split them and describe the items.

    The order of the raw rows plays no role. Users come in the natural order of their outer ids
    (``2`` before ``10``, numbers before other texts), sequences of a user by the time of their
    first row (ties: natural order), rows of a sequence by step, rows of a step by inner item id.
    Items are numbered by first appearance in that order; an item in no row has no inner id.

    Args:
        dataset: Where the data is from.
        raw: What it read.
        split: The split of the dataset's task, ``TASKS.get(dataset.task)().split``.

    Raises:
        DataError: A column is missing, empty or has nulls; a sequence has two users, or steps
            against the order of time; a row is there twice; labels have other ids than rows.
    """
    table = _ordered(_checked(raw.interactions))
    ids, names = {}, {}
    for column in OUTER:
        ids[column], names[column] = number(table[column])
    vocabulary = Vocabulary(names["user"], names["item"], names["sequence"])
    interactions = _interactions(table, ids)
    return Prepared(
        dataset=dataset.name,
        task=dataset.task,
        interactions=interactions,
        split=split(interactions),
        vocabulary=vocabulary,
        catalogue=_catalogue(raw, vocabulary),
    )


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise DataError(f"raw interactions lack the columns {missing}; expected {list(COLUMNS)}")
    if table.empty:
        raise DataError("there are no raw interactions")
    for name in COLUMNS:
        if table[name].isna().to_numpy().any():
            raise DataError(f"column {name} of the raw interactions has nulls")
        if name not in OUTER and not pd.api.types.is_integer_dtype(table[name]):
            kind = table[name].dtype
            raise DataError(f"column {name} of the raw interactions is {kind}, expected integers")
    if (table["step"].to_numpy() < 0).any():
        raise DataError("column step of the raw interactions holds a negative number")
    return table


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    rank = {name: _natural_ranks(table[name]) for name in OUTER}
    time, step = table["time"].to_numpy(), table["step"].to_numpy()
    first = np.full(rank["sequence"].max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, rank["sequence"], time)
    keys = (rank["item"], step, rank["sequence"], first[rank["sequence"]], rank["user"])
    order = np.lexsort(keys)
    ordered = table.iloc[order].reset_index(drop=True)
    _check_order(ordered, rank["sequence"][order], rank["user"][order])
    return ordered


def _check_order(table: pd.DataFrame, sequence: np.ndarray, user: np.ndarray) -> None:
    """Check what must hold between neighbours of the sorted table."""
    num_runs = 1 + np.count_nonzero((np.diff(sequence) != 0) | (np.diff(user) != 0))
    if num_runs != sequence.max() + 1:
        raise DataError("a sequence of the raw interactions belongs to two users")
    step, time, item = (table[name].to_numpy() for name in ("step", "time", "item"))
    same_R = sequence[1:] == sequence[:-1]
    if np.any(same_R & (np.diff(time) < 0)):
        name = table["sequence"][np.flatnonzero(same_R & (np.diff(time) < 0))[0]]
        raise DataError(f"the steps of sequence '{name}' are not in the order of time")
    if np.any(same_R & (np.diff(step) == 0) & (item[1:] == item[:-1])):
        raise DataError("the raw interactions hold the same item twice in one step of a sequence")


def _natural_ranks(outer: Any) -> np.ndarray:
    """Rank of each value in natural order, int64; equal where the outer ids are."""
    codes, uniques = pd.factorize(outer)
    texts = [str(value) for value in uniques]
    order = sorted(range(len(texts)), key=lambda place: _natural(texts[place]))
    rank = np.empty(len(texts), np.int64)
    rank[order] = np.arange(len(texts))
    return rank[codes]


def _natural(text: str) -> tuple[bool, int, str, str]:
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        return False, len(digits), digits, text
    return True, 0, text, text


def _interactions(table: pd.DataFrame, ids: dict[str, np.ndarray]) -> Interactions:
    columns = {name: table[name].to_numpy() for name in ("step", "time")} | ids
    # users and sequences are numbered in the order of the rows, items are not
    order = np.lexsort((columns["item"], columns["step"], columns["sequence"]))
    return Interactions.prepared({name: column[order] for name, column in columns.items()})


def _catalogue(raw: RawData, vocabulary: Vocabulary) -> Catalogue:
    labelled = sum(item in raw.labels for item in vocabulary.items)
    if labelled < MIN_LABELLED_SHARE * len(vocabulary.items):
        raise DataError(
            f"only {labelled} of {len(vocabulary.items)} items have a label: labels and "
            "interactions seem to use different item ids"
        )
    labels = tuple(raw.labels.get(item, item) for item in vocabulary.items)
    categories = {
        name: np.fromiter((item in members for item in vocabulary.items), bool)
        for name, members in sorted(raw.categories.items())
    }
    return Catalogue(labels, categories)
