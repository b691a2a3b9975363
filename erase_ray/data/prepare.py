"""From raw data to a dataset that is ready for training."""

from collections.abc import Callable

import numpy as np

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.clean import order_by
from erase_ray.data.ids import Ids
from erase_ray.data.interactions import Interactions
from erase_ray.data.names import Names
from erase_ray.data.prepared import Prepared
from erase_ray.data.runs import begins
from erase_ray.data.split import Split
from erase_ray.data.vocabulary import Vocabulary
from erase_ray.datasets import Dataset, ItemTable, RawData
from erase_ray.errors import DataError

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
        DataError: There are no rows; a sequence has two users, or steps against the order of
            time; a row is there twice; labels have other ids than rows.
    """
    interactions, vocabulary = numbered(raw)
    return Prepared(
        dataset=dataset.name,
        task=dataset.task,
        interactions=interactions,
        split=split(interactions),
        vocabulary=vocabulary,
        catalogue=_catalogue(raw.items, vocabulary),
        counts=dict(raw.counts),
    )


def numbered(raw: RawData) -> tuple[Interactions, Vocabulary]:
    """The sorted table, and the outer ids behind its numbers."""
    if not len(raw):
        raise DataError("there are no raw interactions")
    if raw.step.min() < 0:
        raise DataError("column step of the raw interactions holds a negative number")
    user, users = _by_rank(raw.user)
    sequence, sequences, owner_S = _sequences(raw, user)
    rank, named = _by_rank(raw.item)
    order = order_by(sequence, raw.step, rank)
    sequence, step, time = sequence[order], raw.step[order], raw.time[order]
    item, items = _by_appearance(rank[order], named)
    del rank, order
    _check_order(sequence, step, time, sequences)
    if np.any((np.diff(sequence) == 0) & (np.diff(step) == 0)):
        within = order_by(sequence, step, item)  # the other columns are equal inside a step
        time, item = time[within], item[within]
    columns = {"user": owner_S[sequence], "sequence": sequence, "step": step}
    interactions = Interactions.prepared(columns | {"item": item, "time": time})
    _check_repeats(interactions)
    return interactions, Vocabulary(users, items, sequences)


def _by_rank(ids: Ids) -> tuple[np.ndarray, Names]:
    """Ids that no row uses go, the others are numbered in natural order."""
    used = ids.compact()
    rank = used.names.natural_ranks.astype(np.int32)
    return rank[used.codes], used.names.take(np.argsort(rank))


def _sequences(raw: RawData, user: np.ndarray) -> tuple[np.ndarray, Names, np.ndarray]:
    """Number of the sequence of each row, their outer ids, and the user of each sequence."""
    rank, names = _by_rank(raw.sequence)
    owner = np.full(len(names), -1, np.int32)
    owner[rank] = user
    if np.any(owner[rank] != user):
        wrong = names[int(rank[owner[rank] != user][0])]
        raise DataError(f"sequence '{wrong}' of the raw interactions belongs to two users")
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, rank, raw.time)
    order = order_by(owner, first)
    number = np.empty(len(names), np.int32)
    number[order] = np.arange(len(names), dtype=np.int32)
    return number[rank], names.take(order), owner[order]


def _by_appearance(codes: np.ndarray, names: Names) -> tuple[np.ndarray, Names]:
    """Codes by first appearance; every name is in some row."""
    first = np.empty(len(names), np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the last one written is the first row
    order = np.argsort(first)
    number = np.empty(len(names), np.int32)
    number[order] = np.arange(len(names), dtype=np.int32)
    return number[codes], names.take(order)


def _check_order(
    sequence: np.ndarray, step: np.ndarray, time: np.ndarray, sequences: Names
) -> None:
    """Check what must hold between neighbours of the sorted table."""
    same_R = sequence[1:] == sequence[:-1]
    falls = same_R & (np.diff(time) < 0)
    if np.any(falls):
        name = sequences[int(sequence[1:][falls][0])]
        raise DataError(f"the steps of sequence '{name}' are not in the order of time")
    differs = same_R & (np.diff(step) == 0) & (np.diff(time) != 0)
    if np.any(differs):
        name = sequences[int(sequence[1:][differs][0])]
        raise DataError(f"rows of one step of sequence '{name}' have different times")


def _check_repeats(interactions: Interactions) -> None:
    if not begins(interactions.sequence, interactions.step, interactions.item).all():
        raise DataError("the raw interactions hold the same item twice in one step of a sequence")


def _catalogue(items: ItemTable, vocabulary: Vocabulary) -> Catalogue:
    place = items.outer.positions(vocabulary.items)
    known = place >= 0
    if known.sum() < MIN_LABELLED_SHARE * len(place):
        raise DataError(
            f"only {known.sum()} of {len(place)} items have a label: labels and "
            "interactions seem to use different item ids"
        )
    unknown = vocabulary.items.take(np.flatnonzero(~known))
    source = np.where(known, place, len(items.outer) + np.cumsum(~known) - 1)
    labels = items.label.joined(unknown).take(source)
    categories = {
        name: np.append(flags, False)[place]  # -1 is the last one
        for name, flags in sorted(items.categories.items())
    }
    return Catalogue(labels, categories)
