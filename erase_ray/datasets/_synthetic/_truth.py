"""What the oracles of all formats share."""

import hashlib
from collections.abc import Iterable


def digest(rows: Iterable[tuple[str, str, int, str, int]]) -> str:
    """SHA-256 over the sorted lines ``user, sequence, step, item, time``, split by tabs."""
    lines = sorted("\t".join(map(str, row)) + "\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
