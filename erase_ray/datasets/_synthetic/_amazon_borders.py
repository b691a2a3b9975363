"""Reviews that lie on every border of cleaning, splitting and serving requests."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from erase_ray.datasets._synthetic._world import Draw

START_MS, HOUR_MS = 1_420_000_000_000, 3_600_000


@dataclass(frozen=True)
class Product:
    """One thing that is sold.

    Args:
        number: Its number in the world.
        asin: Its id in the reviews.
        parent: Id of its family in the metadata.
        family: Number of the family's first product.
        mask: Bits of its sensitive categories.
    """

    number: int
    asin: str
    parent: str
    family: int
    mask: int


Lines = list[dict[str, Any]]


def border_reviews(products: list[Product], extra: list[Product], draw: Draw) -> Lines:
    """The reviews of people who were made for one border each.

    Args:
        products: Products by number.
        extra: Four products that nobody else reviews: one that only later rounds of the 5-core
            remove, a sensitive one that the 5-core removes, one that is described nowhere, and
            one that was sold under two parents.
        draw: Reviews of everybody else, to know what is popular.
    """
    ordinary, sensitive = _popular(products, draw)
    late, rare, unknown, moved = extra
    return [
        *_sizes(ordinary),
        *_requesters(ordinary, sensitive),
        *_repeats(ordinary),
        *_rounds(ordinary, late),
        *_times(ordinary),
        *_ratings(ordinary),
        *_missing(ordinary[0]),
        *_rare(ordinary, rare),
        *_at_gaps("undescribed", [unknown] * 6, 2 * HOUR_MS),
        *_moved(moved, sensitive[0]),
    ]


def _popular(products: list[Product], draw: Draw) -> tuple[list[Product], list[Product]]:
    """Ordinary and sensitive products, twelve or so each, most reviewed first."""
    counts = np.bincount(draw.item, minlength=len(products))
    ranked = [products[number] for number in np.argsort(-counts, kind="stable")]
    return (
        [product for product in ranked if not product.mask][:12],
        [product for product in ranked if product.mask][:12],
    )


def _review(user: str, product: Product, time_ms: int, rating: float = 5.0) -> dict[str, Any]:
    return {
        "rating": rating,
        "title": "Fine",
        "text": "Made for a border",
        "images": [],
        "asin": product.asin,
        "parent_asin": product.parent,
        "user_id": user,
        "timestamp": time_ms,
        "helpful_vote": 1,
        "verified_purchase": False,
    }


def _at_gaps(user: str, products: list[Product], gap_ms: int, start_ms: int = START_MS) -> Lines:
    """Reviews in steps of ``gap_ms``, written in the order of the products, latest line last."""
    return [_review(user, product, start_ms + n * gap_ms) for n, product in enumerate(products)]


def _sizes(ordinary: list[Product]) -> Lines:
    """People with 1, 2, 3, 4, 5 and 10 reviews, and one with sessions of these lengths."""
    lines: Lines = []
    for count in (1, 2, 3, 4, 5, 10):
        lines += _at_gaps(f"has {count}", ordinary[:count], 60_000)
        start_ms = START_MS + count * 100 * HOUR_MS
        lines += _at_gaps("sessions", ordinary[:count], 60_000, start_ms)
    return lines


def _requesters(ordinary: list[Product], sensitive: list[Product]) -> Lines:
    """People with sensitive reviews only, with few others, with one in each part."""
    one, ten = sensitive[0], ordinary[:10]
    return [
        *_at_gaps("all sensitive", sensitive[:3] + sensitive[:3], 60_000),
        *_at_gaps("one sensitive often", [one] * 5 + ordinary[:5], 2 * HOUR_MS),
        *_at_gaps("three left", ordinary[:3] + sensitive[:4], 60_000),
        *_at_gaps("train", [ten[0], one, *ten[1:]], 60_000),
        *_at_gaps("valid", [*ten[:9], one, ten[9]], 60_000),
        *_at_gaps("test", [*ten, one], 60_000),
    ]


def _repeats(ordinary: list[Product]) -> Lines:
    """The same line twice, the same four facts twice, one product at two times or two ratings."""
    lines = _at_gaps("repeats", ordinary[:6], 60_000)
    again = {**lines[1], "text": "Another text, the same four facts", "helpful_vote": 7}
    later = _review("repeats", ordinary[2], START_MS + HOUR_MS)
    other = _review("repeats", ordinary[3], lines[3]["timestamp"], 4.0)
    return [*lines, lines[0], again, later, other]


def _rounds(ordinary: list[Product], late: Product) -> Lines:
    """``late`` loses its fifth review with a person of four; then a person of five goes."""
    four = _at_gaps("round one", [*ordinary[:3], late], 60_000)
    five = _at_gaps("round three", [*ordinary[:4], late], 60_000)
    others = [
        line
        for n in range(3)
        for line in _at_gaps(f"round {n} of many", [*ordinary[:8], late], 60_000)
    ]
    return four + five + others


def _times(ordinary: list[Product]) -> Lines:
    """Equal times, times within a second, and gaps of 3600 s, a little more, and 3601 s."""
    six = ordinary[:6]
    offsets_ms = (0, 2, 1, 999, 1000, 1000)
    close = [
        _review("close", product, START_MS + offset_ms)
        for product, offset_ms in zip(six, offsets_ms, strict=True)
    ]
    return [
        *_at_gaps("equal", six[::-1], 0),
        *close,
        *_at_gaps("hour", six[::-1], HOUR_MS),
        *_at_gaps("hour and a bit", six, HOUR_MS + 1),
        *_at_gaps("hour and a second", six, HOUR_MS + 1000),
        *_at_gaps("back in time", six, -60_000),
    ]


def _ratings(ordinary: list[Product]) -> Lines:
    """Both sides of both thresholds, as whole numbers and with decimals."""
    ratings = (1, 2.0, 2.99, 3, 3.0, 3.49, 3.5, 4, 5, 5.0, 5.0, 5.0)
    return [
        _review("ratings", product, START_MS + n * 60_000, rating)
        for n, (product, rating) in enumerate(zip(ordinary, ratings, strict=True))
    ]


def _missing(product: Product) -> Lines:
    """Each fact missing, null, and empty where it is text."""
    lines: Lines = []
    for n, name in enumerate(("user_id", "asin", "parent_asin", "rating", "timestamp")):
        line = _review("missing", product, START_MS + n * 60_000)
        lines += [{key: line[key] for key in line if key != name}, {**line, name: None}]
        if isinstance(line[name], str):
            lines.append({**line, name: ""})
    return lines


def _rare(ordinary: list[Product], rare: Product) -> Lines:
    return _at_gaps("rare", [*ordinary[:6], rare, rare], 60_000)


def _moved(moved: Product, sensitive: Product) -> Lines:
    """One product under its own parent, which is harmless, and under one that is not."""
    lines = _at_gaps("moved", [moved] * 6, 2 * HOUR_MS)
    return [*lines[:5], {**lines[5], "parent_asin": sensitive.parent}]
