"""Made-up ratings with rows on every border of cleaning, splitting and serving requests."""

from dataclasses import dataclass

import numpy as np

from erase_ray.datasets._synthetic._world import START_S, Draw

DAY_S = 86_400
TRAP_START_S = START_S + 500 * DAY_S
"""Time of the first row that is added; all of the world's rows are earlier."""
NUM_EXTRA_ITEMS = 7


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who rated what when, by number; R rows, of which the added ones are the last.

    Args:
        user: Shape ``(R,)``.
        item: Shape ``(R,)``.
        time: Unix seconds.
        is_liked: Whether the rating is above the format's threshold; for the format to respect.
        same_as: Position of the row that has the same rating; most rows name themselves.
        num_users: People, numbered from 0.
        num_items: Items, numbered from 0, with those nobody rated.
        sensitive: Item numbers of each category.
        undescribed: Rated, by enough people, but the metadata does not know it.
        unmapped: Rated, by enough people, but no map of ids knows it, where a format has one.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    is_liked: np.ndarray
    same_as: np.ndarray
    num_users: int
    num_items: int
    sensitive: dict[str, np.ndarray]
    undescribed: int
    unmapped: int

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class _Cast:
    """The parts that the added rows are about.

    Args:
        users: Number of the first new person.
        items: Number of the first new item; ``NUM_EXTRA_ITEMS`` of them.
        crowd: People with many ratings, who stay.
        popular: Items with many ratings, none of them sensitive.
        sensitive: Items of the first category, most popular first.
    """

    users: int
    items: int
    crowd: list[int]
    popular: list[int]
    sensitive: list[int]


def with_traps(draw: Draw, is_liked: np.ndarray) -> Ratings:
    """The rows of ``draw`` and the added ones.

    Seven items are added: two that only the second and third round of the 5-core remove, a
    sensitive one that it removes, one without metadata, a sensitive and a harmless one that nobody
    rated, and one that no map knows.

    Args:
        draw: Ratings of a made-up world.
        is_liked: For each of its rows whether the rating is to be above the threshold.
    """
    cast = _cast(draw)
    rows = [*_people(cast), *_rare_items(cast)]
    user, item, time, liked = (np.array(column) for column in zip(*rows, strict=True))
    again, later = _repeated(draw, is_liked)
    others = np.concatenate([again, later])
    when = _coarse(draw)
    columns = (
        np.concatenate([draw.user, user, draw.user[others]]),
        np.concatenate([draw.item, item, draw.item[others]]),
        np.concatenate([when, time, when[again], when[later] + DAY_S]),
        np.concatenate([is_liked, liked, is_liked[others]]),
        np.concatenate([np.arange(len(draw) + len(user)), others]),
    )
    first, *rest = draw.sensitive
    return Ratings(
        *columns,
        num_users=int(user.max()) + 1,
        num_items=draw.num_items + NUM_EXTRA_ITEMS,
        sensitive={first: np.append(draw.sensitive[first], [cast.items + 2, cast.items + 4])}
        | {name: draw.sensitive[name] for name in rest},
        undescribed=cast.items + 3,
        unmapped=cast.items + 6,
    )


Row = tuple[int, int, int, bool]


def _cast(draw: Draw) -> _Cast:
    ratings_U = np.bincount(draw.user, minlength=draw.num_users)
    ratings_I = np.bincount(draw.item, minlength=draw.num_items)
    marked = np.concatenate([np.zeros(0, np.int64), *draw.sensitive.values()])
    order = np.argsort(-ratings_I, kind="stable")
    first = next(iter(draw.sensitive.values()))
    return _Cast(
        users=draw.num_users,
        items=draw.num_items,
        crowd=np.argsort(-ratings_U, kind="stable")[:8].tolist(),
        popular=order[~np.isin(order, marked)][:19].tolist(),
        sensitive=order[np.isin(order, first)].tolist(),
    )


def _people(cast: _Cast) -> list[Row]:
    """People who were made for one border each."""
    ten, secret = cast.popular[:10], cast.sensitive
    rated = [
        *(cast.popular[:count] for count in (1, 2, 3, 4, 5, 10, 11, 19)),
        (secret * 6)[:6],  # nothing is left
        [*ten[:3], *(secret * 3)[:3]],  # three rows are left
        [secret[0], *ten],  # in train only
        [*ten[:9], secret[0], ten[9]],  # in valid only
        [*ten, secret[0]],  # in test only
        [*ten[:4], *[secret[0]] * 3, *ten[4:]],  # again and again
    ]
    rows = [
        (cast.users + number, item, TRAP_START_S + place * 3600, True)
        for number, items in enumerate(rated)
        for place, item in enumerate(items)
    ]
    together, border = cast.users + len(rated), cast.users + len(rated) + 1
    rows += [(together, item, TRAP_START_S, True) for item in reversed(ten)]
    # five ratings, one of them under the threshold
    rows += [(border, item, TRAP_START_S + k, k != 2) for k, item in enumerate(ten[:5])]
    return rows


def _rare_items(cast: _Cast) -> list[Row]:
    """Items near the border of the 5-core, and those that metadata or maps do not know."""
    chained = cast.users + 16
    early, late, lost, undescribed, unmapped = (cast.items + n for n in (0, 1, 2, 3, 6))
    raters = {
        early: [chained, *cast.crowd[:3]],  # four: goes in the first round, then `chained`
        late: [chained, *cast.crowd[:4]],  # so this has four in the third
        lost: cast.crowd[:2],
        undescribed: cast.crowd[:6],
        unmapped: cast.crowd[:6],
    }
    rows = [
        (user, item, TRAP_START_S + 60 * place, True)
        for item, users in raters.items()
        for place, user in enumerate(users)
    ]
    rows += [(chained, item, TRAP_START_S + 9000, True) for item in cast.popular[:3]]
    return rows


def _repeated(draw: Draw, is_liked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of rows that are there twice, and of those that come again a day later."""
    liked = np.flatnonzero(is_liked)
    stride = max(len(liked) // 20, 1)
    return liked[::stride][:20], liked[stride // 2 :: stride][:20]


def _coarse(draw: Draw) -> np.ndarray:
    """The times; every seventh person has whole days, so that several ratings are at once."""
    return np.where(draw.user % 7 == 0, draw.time // DAY_S * DAY_S, draw.time)
