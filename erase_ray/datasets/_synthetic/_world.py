"""Who takes what when, in made-up raw files: groups of people, popularity, sensitive items."""

from dataclasses import dataclass

import numpy as np

from erase_ray import seeds
from erase_ray.data.runs import begins, run_sizes, run_starts

NUM_GROUPS = 6
ZIPF = 0.8
"""Exponent of the popularity of the items of a group."""
LOYALTY = 0.85
"""Share of what people take that is from their own group."""
SENSITIVE_SHARE = 0.12
"""Share of the items that are sensitive, all categories together."""
START_S, SPAN_S = 1_380_000_000, 300 * 86_400
"""First possible time (Unix seconds) and the span after it in which people begin."""
ACTIVE_S = 40 * 86_400
"""Seconds between the first and the last rating of a person, at most."""


@dataclass(frozen=True)
class Growth:
    """How a made world grows with the scale s; rows grow with s itself, about.

    Args:
        users: Exponent of the number of people: ``s ** users`` times as many; each has
            ``s ** (1 - users)`` times as many ratings, sessions or baskets.
        items: Exponent of the number of items.
        length: Exponent of the length of a session; of so many fewer sessions each person has.
    """

    users: float = 0.75
    items: float = 0.65
    length: float = 0.0


USUAL = Growth()


@dataclass(frozen=True, eq=False)
class Draw:
    """Rows by number, before any format gives them names; R rows, by user and time.

    Args:
        user: Number of the person, int64, shape ``(R,)``.
        unit: Number of the session, basket or (ratings) row, unique overall, int64.
        item: Number of the item, int64.
        time: Unix seconds, int64; rises inside a unit, and from unit to unit of a person.
        num_users: People, numbered from 0; each has a row.
        num_items: Items, numbered from 0; not all need be taken.
        sensitive: Item numbers of each category, ascending.
    """

    user: np.ndarray
    unit: np.ndarray
    item: np.ndarray
    time: np.ndarray
    num_users: int
    num_items: int
    sensitive: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.user)


def draw_ratings(
    scale: float, seed: int, categories: tuple[str, ...], growth: Growth = USUAL
) -> Draw:
    """Ratings: about 7,000 by 300 people at scale 1, each item at most once a person."""
    rng = seeds.numpy_generator(seed, "synthetic", "ratings")
    items = _Items.drawn(120 * scale**growth.items, categories, rng)
    mean = 6 + 42 * scale ** (1 - growth.users)
    sizes = _sizes(300 * scale**growth.users, mean=mean, least=6, most=items.num // 2, rng=rng)
    user = np.repeat(np.arange(len(sizes)), sizes)
    pairs = np.sort(user * items.num + items.draw(user, rng))
    pairs = pairs[run_starts(pairs)]
    user, item = np.divmod(pairs, items.num)
    time = (
        START_S + rng.integers(0, SPAN_S, len(sizes))[user] + rng.integers(0, ACTIVE_S, len(user))
    )
    order = np.argsort(user << 32 | time)
    user, item, time = user[order], item[order], time[order]
    return Draw(user, np.arange(len(user)), item, time, len(sizes), items.num, items.sensitive)


def draw_sessions(
    scale: float, seed: int, categories: tuple[str, ...], growth: Growth = USUAL
) -> Draw:
    """Sessions: about 7,500 plays in 1,000 sessions of 250 people at scale 1.

    Inside a session three of four items are the next one in the order of the group, so that the
    item before says much about the item after.
    """
    rng = seeds.numpy_generator(seed, "synthetic", "sessions")
    items = _Items.drawn(120 * scale**growth.items, categories, rng)
    each, longer = scale ** (1 - growth.users - growth.length), scale**growth.length
    counts = _sizes(250 * scale**growth.users, mean=4.5 * each, least=1, most=40 * each, rng=rng)
    owner_S = np.repeat(np.arange(len(counts)), counts)
    lengths = _sizes(len(owner_S), mean=8 * longer, least=2, most=30 * longer, rng=rng)
    unit = np.repeat(np.arange(len(owner_S)), lengths)
    user = owner_S[unit]
    item = items.follow(unit, items.draw(user, rng), rng)
    gap = rng.integers(30, 600, len(unit))
    is_first = begins(unit)
    gap[is_first] = rng.integers(7_300, 400_000, int(is_first.sum()))
    time = START_S + rng.integers(0, SPAN_S, len(counts))[user] + _running(gap, user)
    return Draw(user, unit, item, time, len(counts), items.num, items.sensitive)


def draw_baskets(
    scale: float, seed: int, categories: tuple[str, ...], growth: Growth = USUAL
) -> Draw:
    """Baskets: about 9,000 products in 2,200 baskets of 250 people at scale 1.

    Each person has a handful of favourites, which three of four products are; a basket has a
    product once, all products of a basket have one time, baskets of a person are days apart.
    """
    rng = seeds.numpy_generator(seed, "synthetic", "baskets")
    items = _Items.drawn(120 * scale**growth.items, categories, rng)
    each = scale ** (1 - growth.users)
    counts = _sizes(250 * scale**growth.users, mean=9 * each, least=3, most=45 * each, rng=rng)
    owner_S = np.repeat(np.arange(len(counts)), counts)
    lengths = _sizes(len(owner_S), mean=5, least=1, most=20, rng=rng)
    unit = np.repeat(np.arange(len(owner_S)), lengths)
    user = owner_S[unit]
    favourites_UF = items.draw(np.repeat(np.arange(len(counts)), 8), rng).reshape(-1, 8)
    usual = favourites_UF[user, rng.integers(0, 8, len(user))]
    item = np.where(rng.random(len(user)) < 0.75, usual, items.draw(user, rng))
    keep = np.sort(np.unique(unit * items.num + item, return_index=True)[1])
    gap_S = rng.integers(1, 12, len(owner_S)) * 86_400
    begin = START_S + rng.integers(0, SPAN_S // 86_400, len(counts)) * 86_400
    time_S = begin[owner_S] + _running(gap_S, owner_S) + rng.integers(0, 86_400, len(owner_S))
    time = time_S[unit]
    columns = (user[keep], unit[keep], item[keep], time[keep])
    return Draw(*columns, len(counts), items.num, items.sensitive)


@dataclass(frozen=True, eq=False)
class _Items:
    """Items of groups; sensitive ones belong to two neighbouring groups.

    Args:
        num: Number of items.
        members: Items of each group, most popular first, one after the other.
        starts: Where each group begins in ``members``; one more at the end.
        sensitive: Item numbers of each category.
    """

    num: int
    members: np.ndarray
    starts: np.ndarray
    sensitive: dict[str, np.ndarray]

    @classmethod
    def drawn(
        cls, wanted: float, categories: tuple[str, ...], rng: np.random.Generator
    ) -> "_Items":
        """``wanted`` items (60 or more) in random order of popularity."""
        num = max(60, round(wanted))
        shuffled = rng.permutation(num)
        marked = shuffled[: max(3 * len(categories), round(SENSITIVE_SHARE * num))]
        if not categories:
            marked = marked[:0]
        group_I = rng.integers(0, NUM_GROUPS, num)
        groups = [
            np.concatenate([np.flatnonzero(group_I == g), marked[(group_I[marked] + 1) % 6 == g]])
            for g in range(NUM_GROUPS)
        ]
        parts = [rng.permutation(group) for group in groups]
        return cls(
            num=num,
            members=np.concatenate(parts),
            starts=np.cumsum([0, *map(len, parts)]),
            sensitive={c: np.sort(marked[k :: len(categories)]) for k, c in enumerate(categories)},
        )

    def draw(self, user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One item for each entry of ``user``, mostly from the group of the person."""
        other = rng.integers(0, NUM_GROUPS, len(user))
        group = np.where(rng.random(len(user)) < LOYALTY, user % NUM_GROUPS, other)
        sizes = np.diff(self.starts)[group]
        # inverse of the cumulated power law, continuous and rounded down
        rank = ((sizes ** (1 - ZIPF) - 1) * rng.random(len(user)) + 1) ** (1 / (1 - ZIPF)) - 1
        return self.members[self.starts[group] + np.minimum(rank.astype(np.int64), sizes - 1)]

    def follow(self, unit: np.ndarray, item: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """``item``, three of four replaced by the one after the item before in its group."""
        successor = np.zeros(self.num, np.int64)
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            group = self.members[start:stop]
            successor[group] = np.roll(group, -1)
        follows = (rng.random(len(unit)) < 0.75) & np.append(False, unit[1:] == unit[:-1])
        steps = _rank(follows)
        result = item.copy()
        for step in range(1, int(steps.max(initial=0)) + 1):
            here = np.flatnonzero(steps == step)
            result[here] = successor[result[here - 1]]
        return result


def _sizes(
    num: float, mean: float, least: int, most: float, rng: np.random.Generator
) -> np.ndarray:
    """``num`` sizes with a long tail, ``least`` to ``most``."""
    drawn = least + rng.lognormal(np.log(max(mean - least, 0.5)) - 0.32, 0.8, max(round(num), 1))
    return np.clip(drawn.astype(np.int64), least, max(int(most), least))


def _running(gap: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Running sum of ``gap`` inside adjacent equal groups."""
    total = np.cumsum(gap)
    first = run_starts(group)
    return total - np.repeat(total[first] - gap[first], run_sizes(first, len(group)))


def _rank(flags: np.ndarray) -> np.ndarray:
    """0 where False, else 1, 2, 3 ... since the last False."""
    position = np.arange(len(flags))
    return position - np.maximum.accumulate(np.where(flags, 0, position))
