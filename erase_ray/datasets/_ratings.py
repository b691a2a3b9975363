"""Ratings in memory: what a person rated, in order of time, cleaned as columns of integers."""

from dataclasses import dataclass, replace

import numpy as np

from erase_ray.data.clean import distinct, k_core, order_by, rank_in_group, runs
from erase_ray.data.ids import Ids
from erase_ray.datasets._raw import ItemTable, RawData, with_bad
from erase_ray.errors import DataError


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who rated what when, in any order unless said otherwise.

    Args:
        user: Who, shape ``(R,)``.
        item: What.
        time: Unix seconds or another unit that only grows, int64.
    """

    user: Ids
    item: Ids
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> "Ratings":
        """The rows at some positions, or those that a mask marks."""
        return Ratings(self.user.take(rows), self.item.take(rows), self.time[rows])


def by_person(ratings: Ratings) -> np.ndarray:
    """Positions by person and time, ties by item, each in the natural order of the outer ids."""
    user, item = ratings.user, ratings.item
    user_rank, item_rank = (ids.names.natural_ranks[ids.codes] for ids in (user, item))
    return order_by(user_rank, ratings.time, item_rank)


def without_repeats(ratings: Ratings, stars: np.ndarray) -> Ratings:
    """The first row of each combination of person, item, time and stars.

    Args:
        ratings: In the order of :func:`by_person`.
        stars: Of each row.
    """
    if not len(ratings):
        return ratings
    moment = runs(ratings.user.codes, ratings.time, ratings.item.codes)
    # almost every moment is of one row: only the others have to be compared in their stars
    crowded = np.flatnonzero(np.bincount(moment)[moment] > 1)
    level = np.unique(stars[crowded], return_inverse=True)[1]
    stays = np.ones(len(ratings), bool)
    stays[crowded] = distinct(moment[crowded], level)
    return ratings.take(stays)


def in_core(ratings: Ratings, k: int) -> Ratings:
    """Rows of people and items with ``k`` rows or more; names that no row has go too."""
    stays = k_core(ratings.user.codes, ratings.item.codes, k)
    left = ratings if stays.all() else ratings.take(stays)
    return replace(left, user=left.user.compact(), item=left.item.compact())


def raw_data(
    ratings: Ratings, items: ItemTable, counts: dict[str, int], num_bad: int = 0
) -> RawData:
    """Each person as one sequence with one rating a step.

    Args:
        ratings: In the order of :func:`by_person`.
        items: What is known about the items.
        counts: Rows after each step of cleaning.
        num_bad: Lines that were left out.
    """
    return RawData(
        user=ratings.user,
        sequence=ratings.user,
        item=ratings.item,
        step=rank_in_group(ratings.user.codes),
        time=ratings.time,
        items=items,
        counts=with_bad(counts, num_bad),
    )


def require_rows(name: str, counts: dict[str, int]) -> None:
    """Check that the last step has left something.

    Args:
        name: Of the raw file.
        counts: Rows after each step of cleaning, in order.

    Raises:
        DataError: It has not; the text has all counts.
    """
    if not next(reversed(counts.values())):
        steps = ", ".join(f"{step} {count}" for step, count in counts.items())
        raise DataError(f"{name}: cleaning leaves no rating ({steps})")
