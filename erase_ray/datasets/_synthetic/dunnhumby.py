"""Raw files of "The Complete Journey" (the two CSV files of the original release)."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from erase_ray import seeds
from erase_ray.datasets._synthetic import _basket_traps as traps
from erase_ray.datasets._synthetic._basket_files import padded, write_csv
from erase_ray.datasets._synthetic._basket_truth import Rules, cleaned, facts
from erase_ray.datasets._synthetic._world import START_S, Draw, draw_baskets

KINDS = {
    "alcohol": ("BEERS/ALES", "DOMESTIC WINE", "IMPORTED WINE", "MISC WINE", "LIQUOR"),
    "meat": ("BEEF", "PORK", "CHICKEN", "LUNCHMEAT", "HOT DOGS", "SMOKED MEATS", "BACON"),
    "baby": ("BABY FOODS", "INFANT FORMULA", "DIAPERS & DISPOSABLES", "BABY HBC"),
}
OTHERS = (
    "SOFT DRINKS",
    "MEAT - SHELF STABLE",
    "FRZN MEAT/MEAT DINNERS",
    "GINGERBREAD",
    "CHEESE",
    "CRÈME BRÛLÉE",
    " ",
    "beers/ales",
    "BEERS/ALES ACCESSORIES",
)
"""Near misses among them: readers compare whole names, with upper and lower case."""
MADE_BY = {"alcohol": 9001, "meat": 9002, "baby": 9003}
"""The manufacturer of the products that were planted."""
FIRST_BASKET = 26_984_851_472


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``transaction_data.csv`` and ``product.csv``.

    Baskets of a person are numbered at random, two are on one day, and the time of the day says
    nothing about the day. Some purchases are listed twice. A product that is bought has no
    description, some that have one are never bought.
    """
    draw = traps.with_traps(draw_baskets(scale, seed, tuple(KINDS)), seed)
    _write_transactions(out / "transaction_data.csv", draw, seed)
    _write_products(out / "product.csv", draw, seed)


def _write_transactions(path: Path, draw: Draw, seed: int) -> None:
    rng = seeds.numpy_generator(seed, "synthetic", "dunnhumby")
    row = traps.lines(draw, seed)
    household_U = rng.permutation(draw.num_users) + 1
    basket_G = FIRST_BASKET + rng.permutation(int(draw.unit.max()) + 1)
    second = draw.time[row] - START_S
    day, clock = second // traps.DAY_S + 1, second % traps.DAY_S
    amount = rng.integers(1, 4, len(row))
    nothing = np.zeros(len(row), np.int64)
    columns = {
        "household_key": household_U[draw.user[row]],
        "BASKET_ID": basket_G[draw.unit[row]],
        "DAY": day,
        "PRODUCT_ID": product_ids(draw.num_items, seed)[draw.item[row]],
        "QUANTITY": amount,
        "SALES_VALUE": np.round(amount * 1.39, 2),
        "STORE_ID": 300 + draw.user[row] % 40,
        "RETAIL_DISC": np.where(amount > 2, -0.5, 0.0),
        "TRANS_TIME": padded(clock // 3600 * 100 + clock % 3600 // 60, 4),
        "WEEK_NO": (day + 8) // 7,
        "COUPON_DISC": nothing,
        "COUPON_MATCH_DISC": nothing,
    }
    write_csv(path, columns)


def _write_products(path: Path, draw: Draw, seed: int) -> None:
    num = draw.num_items
    kind = [OTHERS[k % len(OTHERS)] for k in range(num)]
    maker = [2 + k % 60 for k in range(num)]
    for name, items in draw.sensitive.items():
        for place, item in enumerate(items.tolist()):
            kind[item], maker[item] = KINDS[name][place % len(KINDS[name])], MADE_BY[name]
    ids = product_ids(num, seed).tolist()
    unknown = traps_unknown(draw)
    lines = [
        (ids[k], maker[k], "GROCERY", "National", kind[k], f"{kind[k]} {k}, LARGE", "1,5 LB")
        for k in range(num)
        if k != unknown
    ]
    lines += [(10**7 + k, 2, "MISC", "Private", "SALAD BAR", " ", " ") for k in range(5)]
    names = ["PRODUCT_ID", "MANUFACTURER", "DEPARTMENT", "BRAND", "COMMODITY_DESC"]
    names += ["SUB_COMMODITY_DESC", "CURR_SIZE_OF_PRODUCT"]
    write_csv(path, dict(zip(names, map(list, zip(*lines, strict=True)), strict=True)))


def traps_unknown(draw: Draw) -> int:
    """The ordinary product that lacks a description: the least popular of those bought often."""
    count_I = np.bincount(draw.item, minlength=draw.num_items).astype(float)
    count_I[np.concatenate(list(draw.sensitive.values()))] = np.inf
    count_I[count_I < 20] = np.inf
    return int(np.argmin(count_I))


def product_ids(num: int, seed: int) -> np.ndarray:
    """Number of each product: 0 and others with gaps, in no order."""
    rng = seeds.numpy_generator(seed, "synthetic", "product ids")
    return np.append(0, np.sort(rng.choice(9 * num, num - 1, replace=False)) + 25)[
        rng.permutation(num)
    ]


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What ``dunnhumby`` with ``release=original`` must find in ``raw``; ``seed`` is not needed."""
    read, lines = 0, []
    earliest: dict[str, int] = {}
    with (raw / "transaction_data.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            read += 1
            clock = int(row["TRANS_TIME"])
            time = int(row["DAY"]) * 86_400 + clock // 100 * 3600 + clock % 100 * 60
            basket = row["BASKET_ID"]
            earliest[basket] = min(earliest.get(basket, time), time)
            lines.append((row["household_key"], basket, row["PRODUCT_ID"]))
    timed = [(u, (earliest[b], int(b)), earliest[b], item) for u, b, item in lines]
    rows, counts = cleaned(timed, Rules(4, 0, 17, 4, counts_last=True))
    members: dict[str, set[str]] = {name: set() for name in KINDS}
    planted: dict[str, set[str]] = {name: set() for name in KINDS}
    with (raw / "product.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name, kinds in KINDS.items():
                if row["COMMODITY_DESC"].strip() in kinds:
                    members[name].add(row["PRODUCT_ID"])
                if row["MANUFACTURER"] == str(MADE_BY[name]):
                    planted[name].add(row["PRODUCT_ID"])
    return facts(rows, {"read": read} | counts, members, planted)
