"""Filters and orders on columns of integers; none of them looks at a text."""

import numpy as np

from erase_ray.data.runs import begins, run_sizes, run_starts


def order_by(*keys: np.ndarray) -> np.ndarray:
    """Positions that sort rows by the first key, ties by the second, and so on.

    Rows that are equal in all keys stay in their order.

    Args:
        keys: Columns of integers, each of shape ``(R,)``.

    Returns:
        int64, shape ``(R,)``.
    """
    packed = _packed(keys)
    if packed is None:
        return np.lexsort(keys[::-1])
    return np.argsort(packed, kind="stable")


def distinct(*columns: np.ndarray) -> np.ndarray:
    """True for the first row of each combination of values, shape ``(R,)``."""
    is_first = np.ones(len(columns[0]), bool)
    order = order_by(*columns)
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    is_first[order[1:][same]] = False
    return is_first


def k_core(user: np.ndarray, item: np.ndarray, k: int, max_rounds: int = 100) -> np.ndarray:
    """True for the rows that stay if users and items with fewer than ``k`` rows go, repeatedly.

    Args:
        user: Number of the user of each row, from 0, shape ``(R,)``.
        item: Number of the item of each row.
        k: Fewest rows; 0 and 1 keep everything.
        max_rounds: Rounds after which the rest stays as it is; each drops users and items at once.
    """
    keep = np.ones(len(user), bool)
    left = np.arange(len(user))
    for _ in range(max_rounds if k > 1 else 0):
        stays = np.bincount(user)[user] >= k if len(user) else np.zeros(0, bool)
        stays &= np.bincount(item)[item] >= k if len(item) else stays
        if stays.all():
            break
        keep[left[~stays]] = False
        left, user, item = left[stays], user[stays], item[stays]
    return keep


def rank_in_group(*group: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... inside each run of rows that are equal in all of ``group``, int32."""
    position = np.arange(len(group[0]), dtype=np.int64)
    first = np.where(begins(*group), position, 0)
    return (position - np.maximum.accumulate(first)).astype(np.int32)


def runs(*group: np.ndarray) -> np.ndarray:
    """Number of the run of rows that are equal in all of ``group``, int64, from 0."""
    return np.cumsum(begins(*group), dtype=np.int64) - 1


def cut_sessions(user: np.ndarray, time: np.ndarray, gap_s: int) -> np.ndarray:
    """Number of the session inside its user, int64, from 0.

    Args:
        user: Shape ``(R,)``; rows are sorted by user and time.
        time: Unix seconds.
        gap_s: A pause that is longer than this begins a new session.
    """
    is_new = begins(user)
    is_new[1:] |= np.diff(time) > gap_s
    number = np.cumsum(is_new, dtype=np.int64) - 1
    first = run_starts(user)
    return number - np.repeat(number[first], run_sizes(first, len(user)))


def _packed(keys: tuple[np.ndarray, ...]) -> np.ndarray | None:
    """All keys in one column of 64 bits, or None if they do not fit."""
    if not len(keys[0]):
        return np.zeros(0, np.uint64)
    lows = [int(key.min()) for key in keys]
    bits = [(int(key.max()) - low).bit_length() for key, low in zip(keys, lows, strict=True)]
    if sum(bits) > 63:
        return None
    packed = np.zeros(len(keys[0]), np.int64)
    for key, low, width in zip(keys, lows, bits, strict=True):
        packed <<= width
        packed |= key.astype(np.int64) - low
    return packed
