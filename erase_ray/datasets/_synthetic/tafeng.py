"""Raw file of Ta-Feng."""

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from erase_ray import seeds
from erase_ray.datasets._synthetic import _basket_traps as traps
from erase_ray.datasets._synthetic._basket_files import padded, write_csv
from erase_ray.datasets._synthetic._basket_truth import Rules, cleaned, facts
from erase_ray.datasets._synthetic._world import START_S, Draw, draw_baskets

FILE = "ta_feng_all_months_merged.csv"
SUBCLASSES = ("100205", "130315", "010411")
"""Of the products that are planted; one begins with a zero."""
FIRST_DAY = datetime(2000, 11, 1, tzinfo=UTC)
AGES = ("<25", "25-29", "30-34", "35-39", "40-44", "45-49", ">65", "", "unknown", "50歳")


def write(out: Path, scale: float, seed: int) -> None:
    """Write ``ta_feng_all_months_merged.csv``, all fields in quotes.

    Ids have leading zeros; two customers and two products differ by nothing else. A product is
    often listed several times on a day, two visits on a day are one basket, and lines are in no
    order. Fields that no reader needs are sometimes empty.
    """
    draw = traps.with_traps(draw_baskets(scale, seed, SUBCLASSES), seed)
    rng = seeds.numpy_generator(seed, "synthetic", "tafeng")
    row = traps.lines(draw, seed)
    item = draw.item[row]
    amount = rng.integers(1, 5, len(row))
    columns = {
        "TRANSACTION_DT": _dates(draw.time[row]),
        "CUSTOMER_ID": _take(_customers(draw, rng), draw.user[row]),
        "AGE_GROUP": _take(AGES, draw.user[row] % len(AGES)),
        "PIN_CODE": padded(100 + draw.user[row] % 17, 3),
        "PRODUCT_SUBCLASS": _take(_subclasses(draw), item),
        "PRODUCT_ID": _take(_products(draw, rng), item),
        "AMOUNT": amount,
        "ASSET": amount * 17,
        "SALES_PRICE": amount * 20,
    }
    write_csv(out / FILE, columns, quote_all=True)


def _take(texts: Any, positions: np.ndarray) -> np.ndarray:
    return np.array(texts, object)[positions]


def _dates(time: np.ndarray) -> np.ndarray:
    """Days as month, day and year without leading zeros."""
    day, place = np.unique((time - START_S) // traps.DAY_S, return_inverse=True)
    moments = [FIRST_DAY + timedelta(days=int(number)) for number in day]
    return _take([f"{m.month}/{m.day}/{m.year}" for m in moments], place)


def _customers(draw: Draw, rng: np.random.Generator) -> list[str]:
    """Eight digits with leading zeros; the last two people differ by the zeros alone."""
    numbers = np.sort(rng.choice(90_000 + 40 * draw.num_users, draw.num_users, replace=False))
    texts = padded(rng.permutation(numbers) + 20_000, 8)
    return [*texts[:-2], "01104905", "1104905"]


def _products(draw: Draw, rng: np.random.Generator) -> list[str]:
    """Thirteen digits; some ids of other kinds for the two most popular and the last products."""
    numbers = rng.permutation(draw.num_items) + 4_710_000_000_000
    texts = padded(numbers, 13)
    count_I = np.bincount(draw.item, minlength=draw.num_items)
    popular = np.argsort(-count_I, kind="stable")
    odd = ("0", "020113", "20113", "98765432109876543210", "BAG-Ä7")
    for place, text in zip(popular.tolist(), odd, strict=False):
        texts[place] = text
    return texts


def _subclasses(draw: Draw) -> list[str]:
    """One of the planted sub-classes, or one that two ordinary products share."""
    texts = padded(np.arange(draw.num_items) // 2 + 500_000, 6)
    for name, items in draw.sensitive.items():
        for item in items.tolist():
            texts[item] = name
    return texts


def truth(raw: Path, seed: int) -> dict[str, Any]:
    """What ``tafeng`` must find in ``raw``; ``seed`` is not needed."""
    lines, subclass = [], {}
    with (raw / FILE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = datetime.strptime(row["TRANSACTION_DT"], "%m/%d/%Y").replace(tzinfo=UTC)
            time = int(day.timestamp())
            lines.append((row["CUSTOMER_ID"], time, time, row["PRODUCT_ID"]))
            subclass.setdefault(row["PRODUCT_ID"], set()).add(row["PRODUCT_SUBCLASS"])
    rows, counts = cleaned(lines, Rules(3, 50, 3, 4, counts_last=False))
    bought = Counter(code for _, _, item, _ in rows for code in subclass[item])
    top = sorted(bought, key=lambda code: (-bought[code], code))[:3]
    members = {
        f"subclass_{code}": {item for item, codes in subclass.items() if code in codes}
        for code in top
    }
    return facts(rows, {"read": len(lines)} | counts, members, members)
