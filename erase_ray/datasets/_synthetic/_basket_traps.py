"""People, products and baskets that every rule of the basket readers has to meet."""

from dataclasses import replace

import numpy as np

from erase_ray import seeds
from erase_ray.datasets._synthetic._world import START_S, Draw

DAY_S = 86_400
BASKETS = (1, 2, 3, 4, 5, 50, 51, 60, 110)
"""People with so many baskets: below, at and above the limits of readers and models."""
HUGE = 200
"""Products of the one basket that is far larger than the rest; fewer if there are not as many."""

Basket = tuple[int, int, tuple[int, ...]]
"""Day, second of the day, products."""


def with_traps(draw: Draw, seed: int) -> Draw:
    """The draw with more people behind its own.

    The last two people are ordinary twins, for formats that can give them ids that only differ by
    a leading zero. Two products are new, in two baskets only: ``num_items - 2`` is ordinary and
    ``num_items - 1`` belongs to the first category.
    """
    people = _people(draw, seed)
    sizes = [len(products) for baskets in people for _, _, products in baskets]
    owners = [draw.num_users + k for k, baskets in enumerate(people) for _ in baskets]
    moments = [START_S + day * DAY_S + clock for baskets in people for day, clock, _ in baskets]
    flat = [item for baskets in people for _, _, products in baskets for item in products]
    units = int(draw.unit[-1]) + 1 + np.arange(len(sizes))
    columns = {
        "user": np.append(draw.user, np.repeat(owners, sizes)),
        "unit": np.append(draw.unit, np.repeat(units, sizes)),
        "item": np.append(draw.item, flat),
        "time": np.append(draw.time, np.repeat(moments, sizes)),
    }
    first = next(iter(draw.sensitive))
    marked = {first: np.append(draw.sensitive[first], draw.num_items + 1)}
    return replace(
        draw,
        **columns,
        num_users=draw.num_users + len(people),
        num_items=draw.num_items + 2,
        sensitive=draw.sensitive | marked,
    )


def _people(draw: Draw, seed: int) -> list[list[Basket]]:
    count_I = np.bincount(draw.item, minlength=draw.num_items)
    hidden = np.concatenate(list(draw.sensitive.values()))
    by_count = np.argsort(-count_I, kind="stable")
    a, b, c = by_count[~np.isin(by_count, hidden)][:3].tolist()
    categories = [by_count[np.isin(by_count, kind)].tolist() for kind in draw.sensitive.values()]
    s, t = categories[0][:2]
    other = categories[-1][0]
    rare, rare_sensitive = draw.num_items, draw.num_items + 1
    huge = tuple(np.flatnonzero(~np.isin(np.arange(draw.num_items), hidden))[:HUGE].tolist())
    plain, usual = (a, b), [(a, b), (b, c), (a,), (c, a)]
    contents = [
        *([plain] * number for number in BASKETS),
        [(s,), (t,), (s, t), (t,), (s,)],  # nothing but sensitive products
        [*usual, (s, t)],  # the target of the test
        [*usual[:3], (s,), plain],  # the target of validation
        [*usual[:2], (s,), *usual],  # the target of training, the last but two
        [(s,), *usual],  # the first
        [(s,), (a, t), plain, (t,), plain],  # three baskets are left without them
        [(s, a), (s, b), (s, a), (s, c), (s, b)],  # the same one again and again
        [(s, other, a), plain, (other,), plain, (t, a)],  # two categories in a basket
        [plain, (rare,), plain, (a,)],  # three baskets are left without the rare one
        [*usual, (rare, a)],
        [(rare_sensitive, a), *usual],
        [*usual, (rare_sensitive,)],
        [*usual, huge],
    ]
    rng = seeds.numpy_generator(seed, "synthetic", "basket traps")
    people = [_spread(baskets, rng) for baskets in contents]
    noon = DAY_S // 2
    pairs = [(0, noon), (0, noon), (1, noon - 60), (1, noon), (2, 0), (3, DAY_S - 1)]
    same_day = [(*moment, products) for moment, products in zip(pairs, contents[6], strict=False)]
    twins = [_spread(usual, rng), _spread([*usual, (b, c)], rng)]
    return [*people, same_day, *twins]


def _spread(contents: list[tuple[int, ...]], rng: np.random.Generator) -> list[Basket]:
    """Baskets some days apart, at random times of the day."""
    days = np.cumsum(rng.integers(1, 5, len(contents)))
    clocks = rng.integers(0, DAY_S, len(contents))
    return list(zip(days.tolist(), clocks.tolist(), contents, strict=True))


def lines(draw: Draw, seed: int, shuffle: bool = True) -> np.ndarray:
    """Positions of the rows in the order of a file: some twice, never the rare product first.

    Args:
        draw: With traps.
        seed: Root of all draws.
        shuffle: Whether baskets come in random order, as one that readers must not rely on.
    """
    rng = seeds.numpy_generator(seed, "synthetic", "lines")
    position = np.arange(len(draw))
    again = rng.choice(position, max(3, len(draw) // 200), replace=False)
    position = np.append(position, again)
    number_G = rng.permutation(int(draw.unit.max()) + 1) if shuffle else None
    group = draw.unit[position] if number_G is None else number_G[draw.unit[position]]
    never_first = draw.item[position] == int(np.argmax(np.bincount(draw.item)))
    return position[np.lexsort((rng.random(len(position)), never_first, group))]
