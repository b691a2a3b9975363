"""Write Amazon Reviews 2023 files of a made-up shop: products, families of products, traps.

What was planted can be read from the ids: category number c of a shop is bit c of the digit behind
``B0`` or ``B1``, or behind the first digit of an id that has digits only. A family is all products
with one ``parent_asin``; it is described once and its products are of the same categories.
"""

import gzip
import hashlib
import json
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa

from erase_ray import seeds
from erase_ray.datasets._synthetic._amazon_borders import Product, border_reviews
from erase_ray.datasets._synthetic._lines import joined, texts, write
from erase_ray.datasets._synthetic._world import Draw

CHUNK = 100_000
FAMILY_SIZES = (1, 1, 2, 3)
"""Products of a family, in turn; of the families of one, every other has an id of its own."""
RATINGS, RATING_SHARES = (1, 2, 3, 4, 5), (0.03, 0.03, 0.04, 0.25, 0.65)
ODD_USERS = ("0", "007", "7", "12345678901234567890", "a b")
TEXTS = ("Smells of beef, wine and murder", 'Said "no"\nand left \\ café', "抹茶 \u2028 😀", "")
"""Texts of reviews, which play no role."""


@dataclass(frozen=True)
class Shop:
    """What the two data sets do not share.

    Args:
        stem: Name of the files without ``meta_`` and ending.
        categories: Sensitive categories; category c is bit c of an id.
        digits_every: One in so many products has an id of digits only.
        describe: The metadata of a family by number and categories, without its id.
    """

    stem: str
    categories: tuple[str, ...]
    digits_every: int
    describe: Callable[[int, set[str]], dict[str, Any]]


def write_shop(shop: Shop, draw: Draw, out: Path, seed: int) -> None:
    """Write the two files of ``shop``, always the same bytes for the same arguments."""
    products = _products(shop, draw)
    extra = [_product(shop, len(products) + n, mask) for n, mask in enumerate((0, 1, 0, 0))]
    lines = border_reviews(products, extra, draw)
    out.mkdir(parents=True, exist_ok=True)
    with _gzipped(out / f"{shop.stem}.jsonl.gz") as file:
        file.writelines(_encoded(lines[::2]))
        for chunk in _review_chunks(products, draw, seed):
            write(file, chunk)
        file.writelines(_encoded(lines[1::2]))
    # the third product that only borders have is described nowhere
    described = [*products, extra[0], extra[1], extra[3]]
    with _gzipped(out / f"meta_{shop.stem}.jsonl.gz") as file:
        file.writelines(_encoded(_metadata(shop, described)))


def planted_mask(parent: str) -> int:
    """Bits of the categories that an id says were planted."""
    return int(parent[2] if parent.startswith("B") else parent[1])


def _products(shop: Shop, draw: Draw) -> list[Product]:
    masks = np.zeros(draw.num_items, np.int64)
    for bit, name in enumerate(shop.categories):
        masks[draw.sensitive[name]] |= 1 << bit
    first, second = (draw.sensitive[name] for name in shop.categories[:2])
    masks[[first[0], second[0]]] |= 3
    products: dict[int, Product] = {}
    for mask in np.unique(masks):
        for family in _families(np.flatnonzero(masks == mask).tolist()):
            head = _product(shop, family[0], int(mask))
            has_own = len(family) == 3 or (len(family) == 1 and family[0] % 2)
            parent = _other_id(head.asin) if has_own else head.asin
            for number in family:
                asin = _product(shop, number, int(mask)).asin
                products[number] = Product(number, asin, parent, family[0], int(mask))
    return [products[number] for number in range(draw.num_items)]


def _families(numbers: list[int]) -> Iterator[list[int]]:
    turn = 0
    while numbers:
        size = FAMILY_SIZES[turn % len(FAMILY_SIZES)]
        yield numbers[:size]
        numbers, turn = numbers[size:], turn + 1


def _product(shop: Shop, number: int, mask: int) -> Product:
    has_digits = number % shop.digits_every == 0
    asin = f"0{mask}{number:08d}" if has_digits else f"B0{mask}{number:07d}"
    return Product(number, asin, asin, number, mask)


def _other_id(asin: str) -> str:
    return f"B1{asin[2:]}" if asin.startswith("B") else f"1{asin[1:]}"


def _users(num: int, seed: int) -> pa.Array:
    made = [_user(number, seed) for number in range(len(ODD_USERS), num)]
    return pa.array([*ODD_USERS, *made][:num], pa.large_string())


def _user(number: int, seed: int) -> str:
    digest = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=16).digest()
    return f"AE{b32encode(digest).decode().rstrip('=')}"


def _review_chunks(products: list[Product], draw: Draw, seed: int) -> Iterator[pa.Array]:
    """Lines of JSON, the last review of each chunk first."""
    users = _users(draw.num_users, seed)
    asins, parents = (
        pa.array([getattr(product, name) for product in products], pa.large_string())
        for name in ("asin", "parent")
    )
    said = pa.array([json.dumps(text) for text in TEXTS], pa.large_string())
    rng = seeds.numpy_generator(seed, "synthetic", "amazon")
    for start in range(0, len(draw), CHUNK):
        at = np.arange(start, min(start + CHUNK, len(draw)))[::-1]
        item = draw.item[at]
        rating = rng.choice(RATINGS, len(at), p=RATING_SHARES)
        yield joined(
            '{"rating": ',
            texts(rating),
            '.0, "title": "Fine", "text": ',
            said.take(pa.array(at % len(TEXTS))),
            ', "images": [], "asin": "',
            asins.take(pa.array(item)),
            '", "parent_asin": "',
            parents.take(pa.array(item)),
            '", "user_id": "',
            users.take(pa.array(draw.user[at])),
            '", "timestamp": ',
            texts(draw.time[at] * 1000 + rng.integers(0, 1000, len(at))),
            ', "helpful_vote": 0, "verified_purchase": true}\n',
        )


def _metadata(shop: Shop, products: list[Product]) -> Iterator[dict[str, Any]]:
    seen = set()
    for product in products:
        if product.parent in seen:
            continue
        seen.add(product.parent)
        names = {name for bit, name in enumerate(shop.categories) if product.mask >> bit & 1}
        yield {**shop.describe(product.family, names), "parent_asin": product.parent}
    # nobody reviewed this one
    yield {**shop.describe(10**6, set()), "parent_asin": "B000000000"}


def _encoded(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        yield json.dumps(row, ensure_ascii=number % 2 == 0).encode() + b"\n"


def _gzipped(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(path, "wb", compresslevel=1, mtime=0))
