"""Numbers as short texts."""

import math

MISSING = "-"
UNDEFINED = "nan"
TIMES, MINUS, DASH = "\u00d7", "\u2212", "\u2013"


def plain(value: float) -> str:
    """A utility value with four decimals."""
    return UNDEFINED if math.isnan(value) else f"{value:.4f}"


def percent(value: float) -> str:
    """A share from 0 to 1 in percent with one decimal, without the sign."""
    return UNDEFINED if math.isnan(value) else f"{100 * value:.1f}"


def significant(value: float, digits: int = 3) -> str:
    """``value`` with about ``digits`` significant digits and no exponent: 1234, 12.3, 0.00123."""
    if math.isnan(value):
        return UNDEFINED
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(digits - 1 - size, 0), 9)}f}"


def short(name: str, most: int = 14) -> str:
    """``name``, cut with an ellipsis if it is longer than ``most`` letters."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def utc(created: str) -> str:
    """An ISO time as ``2026-02-01 10:00 UTC``; as it is if it is none."""
    if len(created) >= 16 and created[10] == "T":
        return f"{created[:10]} {created[11:16]} UTC"
    return created


def short_key(key: str) -> str:
    """The start of a key or hash, which is enough to find it."""
    return key[:12]
