"""Small tables for the scenarios."""

import numpy as np

from erase_ray.data.catalogue import Catalogue
from erase_ray.data.interactions import Interactions
from erase_ray.data.split import Split
from erase_ray.scenarios import SCENARIOS, Chain


def profiles(items_by_user: list[list[int]], times: list[int] | None = None) -> Interactions:
    """One sequence a user, one row a step; times are the steps unless given."""
    sizes = [len(items) for items in items_by_user]
    users = np.repeat(np.arange(len(sizes)), sizes)
    steps = np.concatenate([np.arange(size) for size in sizes])
    columns = {"user": users, "sequence": users, "step": steps}
    rest = {"item": np.concatenate(items_by_user), "time": steps if times is None else times}
    return Interactions.prepared(columns | rest)


def sessions(lengths: np.ndarray, num_items: int, seed: int = 0) -> Interactions:
    """Sessions of the given lengths, two a user, Zipf items; a minute from row to row."""
    rng = np.random.default_rng(seed)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(sequence)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    weight = 1 / np.arange(1, num_items + 1)
    item = rng.choice(num_items, len(sequence), p=weight / weight.sum())
    item[:num_items] = np.arange(num_items)
    time = 1_000_000 + 500 * sequence + 60 * step
    columns = {"user": sequence // 2, "sequence": sequence, "step": step, "item": item}
    return Interactions.prepared(columns | {"time": time})


def baskets(num_users: int, num_items: int, seed: int = 0) -> Interactions:
    """Three to eight baskets a user with one to nine distinct items each; a day between them."""
    rng = np.random.default_rng(seed)
    rows = [
        (user, step, item)
        for user in range(num_users)
        for step in range(rng.integers(3, 9))
        for item in np.sort(rng.choice(num_items, rng.integers(1, 10), replace=False))
    ]
    user, step, item = np.array(rows).T
    item[0] = num_items - 1
    columns = {"user": user, "sequence": user, "step": step, "item": item}
    return Interactions.prepared(columns | {"time": 1_000_000 + 86_400 * step})


def catalogue(num_items: int, *members: int) -> Catalogue:
    """A catalogue whose category ``drinks`` has the given members."""
    is_member = np.zeros(num_items, bool)
    is_member[list(members)] = True
    return Catalogue(tuple(map(str, range(num_items))), {"drinks": is_member})


def build(name: str, table: Interactions, task: str = "", seed: int = 2, **settings) -> Chain:
    """The chain of a scenario; items 0 and 1 are drinks."""
    kind = SCENARIOS.get(name)
    known = catalogue(table.num_items, 0, min(1, table.num_items - 1))
    scenario = kind(kind.Settings(**settings), task)
    return scenario.build(table, Split(np.zeros(len(table), np.int8)), known, seed)
