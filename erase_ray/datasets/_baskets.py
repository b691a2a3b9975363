"""What readers of baskets share: each product once a basket, and the filters."""

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from erase_ray.data.clean import order_by, rank_in_group, runs
from erase_ray.data.ids import Ids
from erase_ray.data.names import Names
from erase_ray.data.runs import run_sizes, run_starts
from erase_ray.datasets._base import ReaderSettings
from erase_ray.datasets._raw import ItemTable, RawData, with_bad


@dataclass(frozen=True)
class Limits:
    """How much there must be of a user and of a product.

    Args:
        min_baskets: Fewest baskets of a user before products are counted.
        max_baskets: Most of them; 0 for any number.
        min_item_count: Fewest baskets that a product is in, counted over the users who are left.
        min_baskets_left: Fewest baskets of a user that are not empty in the end.
        counts_last: Whether the last basket of a user counts for ``min_item_count``.
    """

    min_baskets: int
    max_baskets: int
    min_item_count: int
    min_baskets_left: int
    counts_last: bool


class BasketSettings(ReaderSettings):
    """Settings of readers that follow the workshop's recipe: last baskets do not count."""

    min_baskets: int = Field(default=3, ge=3)
    """Fewest baskets of a user before products are counted."""

    max_baskets: int = Field(default=50, ge=0)
    """Most baskets of a user; those who have more are left out. 0 for any number."""

    min_item_count: int = Field(default=17, ge=1)
    """Fewest baskets that a product is in, last baskets not counted."""

    min_baskets_left: int = Field(default=4, ge=3)
    """Fewest baskets that a user is left with; train, valid and test take 3."""

    @property
    def limits(self) -> Limits:
        """What the settings ask for."""
        return Limits(
            self.min_baskets,
            self.max_baskets,
            self.min_item_count,
            self.min_baskets_left,
            counts_last=False,
        )


@dataclass(frozen=True, eq=False)
class Purchases:
    """Products in baskets, a product once a basket; sorted by user, basket and product.

    Args:
        user: Number of the user, int32, shape ``(R,)``.
        basket: Number of the basket, int32: of a user's baskets the later one has the higher.
        item: Number of the product, int32.
        time: Of the basket, int64.
    """

    user: np.ndarray
    basket: np.ndarray
    item: np.ndarray
    time: np.ndarray

    @classmethod
    def of(
        cls, user: np.ndarray, when: np.ndarray, item: np.ndarray, time: np.ndarray
    ) -> "Purchases":
        """From rows in any order.

        Args:
            user: Number of the user.
            when: What tells the baskets of a user apart and puts them in order.
            item: Number of the product.
            time: Of the basket; equal where ``user`` and ``when`` are.
        """
        order = order_by(user, when, item)
        user, when, item = user[order], when[order], item[order]
        rows = run_starts(user, when, item)
        user, when, item, time = user[rows], when[rows], item[rows], time[order[rows]]
        return cls(user, runs(user, when).astype(np.int32), item, time)

    def __len__(self) -> int:
        return len(self.user)

    def only(self, keep: np.ndarray) -> "Purchases":
        """The rows that a mask marks."""
        return Purchases(self.user[keep], self.basket[keep], self.item[keep], self.time[keep])

    @property
    def steps(self) -> np.ndarray:
        """Number of the basket of each row among those of its user, int32, from 0."""
        first = run_starts(self.basket)
        return np.repeat(rank_in_group(self.user[first]), run_sizes(first, len(self)))

    def of_users_with(self, least: int, most: int = 0) -> "Purchases":
        """The rows of users with enough baskets, and with no more than ``most`` unless it is 0."""
        count_U = np.bincount(self.user[run_starts(self.basket)])
        fits_U = (count_U >= least) & ((count_U <= most) if most else True)
        return self.only(fits_U[self.user])

    def of_common_items(self, least: int, counts_last: bool) -> "Purchases":
        """The rows of products that are in enough baskets."""
        counted = self.item
        if not counts_last:
            last_U = np.zeros(int(self.user.max(initial=-1)) + 1, np.int32)
            last_U[self.user] = self.basket  # the last one written is the last basket
            counted = self.item[self.basket != last_U[self.user]]
        count_I = np.bincount(counted, minlength=int(self.item.max(initial=-1)) + 1)
        return self.only(count_I[self.item] >= least)

    def filtered(self, limits: Limits) -> tuple["Purchases", dict[str, int]]:
        """What the limits leave, and the rows after each step.

        Each filter runs once, in the order of the arguments of :class:`Limits`; baskets that lose
        all products vanish, and products are not counted again.
        """
        counts = {"distinct": len(self)}
        left = self.of_users_with(limits.min_baskets, limits.max_baskets)
        counts["regular"] = len(left)
        left = left.of_common_items(limits.min_item_count, limits.counts_last)
        counts["common"] = len(left)
        left = left.of_users_with(limits.min_baskets_left)
        counts["left"] = len(left)
        return left, counts

    def raw_data(
        self, names: tuple[Names, Names], table: ItemTable, counts: dict[str, int], num_bad: int = 0
    ) -> RawData:
        """The interactions of a dataset; each user is one sequence.

        Args:
            names: Outer ids of users and of items.
            table: What is known about the items.
            counts: Rows after each step of cleaning.
            num_bad: Lines that were left out.
        """
        user, item = Ids(self.user, names[0]), Ids(self.item, names[1])
        known = with_bad(counts, num_bad)
        return RawData(user, user, item, self.steps, self.time, table, known)
