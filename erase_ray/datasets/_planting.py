"""Draws of planted interactions, by number of person and item."""

from dataclasses import dataclass

import numpy as np

START_S, MINUTE_S, DAY_S = 1_700_000_000, 60, 86_400
NOISE = 0.03
"""Weight of an item of another group, where one of the own group has 1."""
MIN_CHOICES, MAX_CHOICES = 12, 20
MIN_SESSIONS, MAX_SESSIONS, MIN_CLICKS, MAX_CLICKS = 3, 5, 6, 10
FOLLOW_SHARE = 0.9
"""Share of clicks that go to the next item of the group's order."""
MIN_BASKETS, MAX_BASKETS, NUM_FAVOURITES, NUM_EXTRAS = 6, 9, 6, 2
FAVOURITE_SHARE = 0.6
"""Share of the favourites that a basket holds."""

Rows = dict[str, np.ndarray]
"""Columns user, sequence, step, item, time; all numbers."""


@dataclass(frozen=True, eq=False)
class World:
    """Who likes what.

    Args:
        group_U: Group of each person.
        inclined_U: True for people who take sensitive items.
        likes_GI: True where an item belongs to a group.
        sensitive_I: True for sensitive items.
    """

    group_U: np.ndarray
    inclined_U: np.ndarray
    likes_GI: np.ndarray
    sensitive_I: np.ndarray

    @classmethod
    def drawn(
        cls,
        sizes: tuple[int, int, int],
        num_sensitive: int,
        inclined_share: float,
        rng: np.random.Generator,
    ) -> "World":
        """A world of (people, items, groups); numbers of people and items tell nothing."""
        num_users, num_items, num_groups = sizes
        shuffled = rng.permutation(num_items)
        sensitive, ordinary = shuffled[:num_sensitive], shuffled[num_sensitive:]
        likes_GI = np.zeros((num_groups, num_items), bool)
        likes_GI[np.arange(len(ordinary)) % num_groups, ordinary] = True
        first = 2 * (np.arange(num_sensitive) % (num_groups // 2))
        likes_GI[first, sensitive] = likes_GI[first + 1, sensitive] = True
        place_U = rng.permutation(num_users)
        # people of a group are inclined or not in turn, so that each group has the same share
        inclined_U = (place_U // num_groups + 0.5) * inclined_share % 1 < inclined_share
        is_sensitive = np.isin(np.arange(num_items), sensitive)
        return cls(place_U % num_groups, inclined_U, likes_GI, is_sensitive)

    @property
    def takes_UI(self) -> np.ndarray:
        """True where an item is one of those that a person takes."""
        return self.likes_GI[self.group_U] & (self.inclined_U[:, None] | ~self.sensitive_I)


def choices(world: World, rng: np.random.Generator) -> Rows:
    """Distinct items of each person in random order, nearly all of those that he or she takes."""
    takes_UI = world.takes_UI
    weight_UI = np.where(takes_UI, 1.0, NOISE)
    # the smallest of exponential waiting times: a weighted draw without replacement
    waiting_UI = rng.exponential(size=takes_UI.shape) / weight_UI
    ranked_UC = np.argsort(waiting_UI, axis=1, kind="stable")[:, :MAX_CHOICES]
    count_U = rng.integers(MIN_CHOICES, MAX_CHOICES + 1, len(takes_UI))
    shuffled_UC = rng.random(ranked_UC.shape)
    shuffled_UC[np.arange(MAX_CHOICES) >= count_U[:, None]] = 2.0  # behind those that count
    ranked_UC = np.take_along_axis(ranked_UC, np.argsort(shuffled_UC, axis=1, kind="stable"), 1)
    user, step = np.nonzero(np.arange(MAX_CHOICES) < count_U[:, None])
    return _rows(user, user, step, ranked_UC[user, step], user * DAY_S + step * MINUTE_S)


def sessions(world: World, rng: np.random.Generator) -> Rows:
    """Sessions that go through the items of a person's group in an order fixed for the group."""
    order_UI, length_U = _orders(world, rng)
    num_U = rng.integers(MIN_SESSIONS, MAX_SESSIONS + 1, len(length_U))
    user_S = np.repeat(np.arange(len(length_U)), num_U)
    number_S = np.arange(len(user_S)) - np.repeat(np.cumsum(num_U) - num_U, num_U)
    jump_SL = rng.integers(2, 6, (len(user_S), MAX_CLICKS))
    follows_SL = rng.random(jump_SL.shape) < FOLLOW_SHARE
    start_S = rng.integers(0, length_U[user_S])
    place_SL = start_S[:, None] + np.cumsum(np.where(follows_SL, 1, jump_SL), axis=1)
    item_SL = order_UI[user_S[:, None], place_SL % length_U[user_S][:, None]]
    clicks_S = rng.integers(MIN_CLICKS, MAX_CLICKS + 1, len(user_S))
    session, step = np.nonzero(np.arange(MAX_CLICKS) < clicks_S[:, None])
    time = number_S[session] * DAY_S + user_S[session] * MINUTE_S + step * MINUTE_S
    return _rows(user_S[session], session, step, item_SL[session, step], time)


def baskets(world: World, rng: np.random.Generator) -> Rows:
    """Baskets of each person's favourites, with a few other items of the group."""
    takes_UI = world.takes_UI
    favourite_UF = _sampled(takes_UI, NUM_FAVOURITES, rng)
    num_U = rng.integers(MIN_BASKETS, MAX_BASKETS + 1, len(takes_UI))
    user_B = np.repeat(np.arange(len(num_U)), num_U)
    step_B = np.arange(len(user_B)) - np.repeat(np.cumsum(num_U) - num_U, num_U)
    kept_BF = rng.random((len(user_B), NUM_FAVOURITES)) < FAVOURITE_SHARE
    kept_BF[np.arange(len(user_B)), rng.integers(0, NUM_FAVOURITES, len(user_B))] = True
    extra_BE = _sampled(takes_UI[user_B], NUM_EXTRAS, rng)
    item_BC = np.concatenate([favourite_UF[user_B], extra_BE], axis=1)
    basket, column = np.nonzero(np.concatenate([kept_BF, np.ones(extra_BE.shape, bool)], axis=1))
    pairs = np.unique(np.stack([basket, item_BC[basket, column]]), axis=1)
    basket, item = pairs
    user, step = user_B[basket], step_B[basket]
    return _rows(user, user, step, item, step * DAY_S + user * MINUTE_S)


def _sampled(allowed_RI: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` distinct allowed items a row."""
    drawn_RI = np.where(allowed_RI, rng.random(allowed_RI.shape), 2.0)
    return np.argsort(drawn_RI, axis=1, kind="stable")[:, :count]


def _orders(world: World, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The items that each person takes in the group's order, and how many there are."""
    rank_GI = np.argsort(rng.random(world.likes_GI.shape), axis=1, kind="stable")
    takes_UI = world.takes_UI
    order_UI = np.argsort(
        np.where(takes_UI, rank_GI[world.group_U], takes_UI.shape[1]), axis=1, kind="stable"
    )
    return order_UI, takes_UI.sum(axis=1)


def _rows(
    user: np.ndarray, sequence: np.ndarray, step: np.ndarray, item: np.ndarray, time: np.ndarray
) -> Rows:
    time = START_S + time
    return {"user": user, "sequence": sequence, "step": step, "item": item, "time": time}
