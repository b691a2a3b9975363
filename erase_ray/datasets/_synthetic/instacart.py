"""Raw files of Instacart 2017."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from erase_ray import seeds
from erase_ray.data.clean import rank_in_group
from erase_ray.data.runs import begins, run_starts
from erase_ray.datasets._synthetic import _basket_traps as traps
from erase_ray.datasets._synthetic._basket_files import padded, write_csv
from erase_ray.datasets._synthetic._basket_truth import Rules, cleaned, facts
from erase_ray.datasets._synthetic._world import START_S, Draw, draw_baskets

AISLES = {
    "meat": (5, 95, 96, 15, 33, 34, 35, 49, 106, 122),
    "alcohol": (27, 28, 62, 124, 134),
    "baby": (82, 92, 102, 56),
}
OTHER_AISLES = (1, 4, 6, 26, 29, 50, 61, 100, 123, 133)
AISLE_NAMES = {
    1: "prepared soups salads",
    5: "marinades meat preparation",
    27: "beers coolers",
    28: "red wines",
    56: "diapers wipes",
    62: "white wines",
    92: "baby food formula",
    122: "meat counter",
    124: "spirits",
    134: "specialty wines champagnes",
}
OTHER_NAMES = (
    "Crème Brûlée, Organic",
    'The "Original" Gingerbread',
    "Non-Alcoholic Ginger Beer",
    "Meat Free Sausages",
    "Bananas",
    "Red Wine Vinegar",
)
"""Traps for readers that look at names; the aisle alone counts."""
BY_SHARE = 10
"""A tenth of all people is kept by default, so that there are ten times as many."""


def write(out: Path, scale: float, seed: int) -> None:
    """Write the six CSV files.

    The people of the draw have the lowest tenth of the user numbers; the others place four orders
    of one product. The last order of two of three people is in ``order_products__train.csv``, the
    third has one more order whose products nobody knows. Product numbers have gaps and begin at 0.
    A few lines belong to orders that are not listed.
    """
    draw = traps.with_traps(draw_baskets(scale, seed, tuple(AISLES)), seed)
    rng = seeds.numpy_generator(seed, "synthetic", "instacart")
    orders = _Orders.drawn(draw, rng)
    orders.write(out / "orders.csv", rng)
    product_I = _product_ids(draw.num_items, rng)
    _write_lines(out, draw, orders, product_I, seed)
    _write_products(out / "products.csv", draw, product_I)
    aisles = np.arange(1, 135)
    names = [AISLE_NAMES.get(number, f"aisle {number}") for number in aisles.tolist()]
    write_csv(out / "aisles.csv", {"aisle_id": aisles, "aisle": names})
    departments = np.arange(1, 22)
    texts = [f"department {number}" for number in departments.tolist()]
    write_csv(out / "departments.csv", {"department_id": departments, "department": texts})


class _Orders:
    """All orders, those of the draw first: one a basket, in its order.

    Args:
        user: Number of the user of each order, from 1.
        day: Day of each order.
        kind: ``prior``, ``train`` or ``test``.
        id: Number of each order, in no order.
        num_baskets: How many come from the draw.
        num_filled: How many have products.
    """

    def __init__(
        self,
        user: np.ndarray,
        day: np.ndarray,
        kind: np.ndarray,
        id: np.ndarray,
        sizes: tuple[int, int],
    ) -> None:
        self.user, self.day, self.kind, self.id = user, day, kind, id
        self.num_baskets, self.num_filled = sizes

    @classmethod
    def drawn(cls, draw: Draw, rng: np.random.Generator) -> "_Orders":
        first = run_starts(draw.unit)
        owner = rng.permutation(draw.num_users)[draw.user[first]] + 1
        day = (draw.time[first] - START_S) // traps.DAY_S
        others = np.repeat(np.arange(draw.num_users, BY_SHARE * draw.num_users) + 1, 4)
        user = np.append(owner, others)
        day = np.append(day, np.tile(np.arange(4) * 9, len(others) // 4))
        is_last = np.append(user[1:] != user[:-1], True)
        kind = np.where(is_last & (user % 3 > 0), "train", "prior").astype(object)
        filled = len(user)
        waiting = np.flatnonzero(is_last & (user % 3 == 0))
        user = np.append(user, user[waiting])
        day = np.append(day, day[waiting] + 5)
        kind = np.append(kind, np.full(len(waiting), "test", object))
        id = rng.permutation(len(user)) + 1
        return cls(user, day, kind, id, (len(first), filled))

    def write(self, path: Path, rng: np.random.Generator) -> None:
        """``orders.csv``: people in random order, the orders of each in the order of their day."""
        shuffled_U = rng.permutation(int(self.user.max()) + 1)
        row = np.lexsort((np.arange(len(self.user)), shuffled_U[self.user]))
        user, day = self.user[row], self.day[row]
        number = rank_in_group(user) + 1
        since = np.minimum(np.diff(day, prepend=0), 30).astype(float)
        columns = {
            "order_id": self.id[row],
            "user_id": user,
            "eval_set": self.kind[row],
            "order_number": number,
            "order_dow": day % 7,
            "order_hour_of_day": padded(rng.integers(0, 24, len(user)), 2),
            "days_since_prior_order": pa.array(since, mask=begins(user)),
        }
        write_csv(path, columns)


def _product_ids(num: int, rng: np.random.Generator) -> np.ndarray:
    """Number of each product: 0 and numbers far above their count."""
    numbers = np.append(0, np.sort(rng.choice(9 * num, num - 1, replace=False)) + num)
    return rng.permutation(numbers)


def _write_lines(out: Path, draw: Draw, orders: _Orders, product_I: np.ndarray, seed: int) -> None:
    rng = seeds.numpy_generator(seed, "synthetic", "instacart lines")
    row = traps.lines(draw, seed)
    extra = np.arange(orders.num_baskets, orders.num_filled)
    order = np.concatenate([draw.unit[row], extra])
    product = np.concatenate([draw.item[row], draw.item[rng.integers(0, len(draw), len(extra))]])
    in_cart = rank_in_group(order) + 1
    id, number = orders.id[order], product_I[product]
    for name in ("prior", "train"):
        here = np.flatnonzero(orders.kind[order] == name)
        strangers = 10**9 + np.arange(3)
        columns = {
            "order_id": np.append(id[here], strangers),
            "product_id": np.append(number[here], product_I[:3]),
            "add_to_cart_order": np.append(in_cart[here], [1, 1, 1]),
            "reordered": np.append((in_cart[here] % 2), [0, 0, 0]),
        }
        write_csv(out / f"order_products__{name}.csv", columns)


def _write_products(path: Path, draw: Draw, product_I: np.ndarray) -> None:
    num = draw.num_items
    names = [f"{OTHER_NAMES[k % len(OTHER_NAMES)]} {k}" for k in range(num)]
    aisle = [OTHER_AISLES[k % len(OTHER_AISLES)] for k in range(num)]
    for name, items in draw.sensitive.items():
        for place, item in enumerate(items.tolist()):
            names[item] = f"Planted {name} {item}"
            aisle[item] = AISLES[name][place % len(AISLES[name])]
    order = np.argsort(product_I)
    never = [f"Never bought {k}" for k in range(4)]
    columns = {
        "product_id": np.append(product_I[order], int(product_I.max()) + 1 + np.arange(4)),
        "product_name": [names[k] for k in order] + never,
        "aisle_id": [aisle[k] for k in order] + [27, 5, 92, 1],
        "department_id": [1 + k % 21 for k in order] + [5, 12, 18, 1],
    }
    write_csv(path, columns)


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What ``instacart`` must find in ``raw``; ``seed`` is not needed."""
    orders = {row["order_id"]: row for row in _rows(raw / "orders.csv")}
    timeline: dict[str, list[tuple[int, float, str]]] = {}
    for id, row in orders.items():
        days = float(row["days_since_prior_order"] or 0)
        timeline.setdefault(row["user_id"], []).append((int(row["order_number"]), days, id))
    time = {}
    for history in timeline.values():
        total = 0.0
        for _, days, id in sorted(history):
            total += days
            time[id] = int(total) * 86_400
    lines = []
    for name in ("prior", "train"):
        lines += [
            (r["order_id"], r["product_id"]) for r in _rows(raw / f"order_products__{name}.csv")
        ]
    known = [(id, item) for id, item in lines if id in orders]
    users = {orders[id]["user_id"] for id, _ in known}
    limit = len(users) // 10
    shared = [(id, item) for id, item in known if int(orders[id]["user_id"]) <= limit]
    timed = [
        (orders[id]["user_id"], int(orders[id]["order_number"]), time[id], item)
        for id, item in shared
    ]
    rows, counts = cleaned(timed, Rules(3, 50, 17, 4, counts_last=False))
    counts = {"read": len(lines), "known": len(known), "share": len(shared)} | counts
    products = _rows(raw / "products.csv")
    members = {
        name: {r["product_id"] for r in products if int(r["aisle_id"]) in aisles}
        for name, aisles in AISLES.items()
    }
    planted = {
        name: {r["product_id"] for r in products if r["product_name"].startswith(f"Planted {name}")}
        for name in AISLES
    }
    return facts(rows, counts, members, planted)


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
