"""How large the blocks may be in which this process computes, relative to the usual size.

Work that ran out of memory is tried once more with half of it. Blocks are bounds of memory alone:
results do not depend on them but in the last bits of sums that are added up in another order.
"""

from collections.abc import Iterator
from contextlib import contextmanager

_scale = 1.0


def scaled(amount: float) -> float:
    """``amount`` of memory (bytes, entries, rows), as much of it as this process may use."""
    return amount * _scale


@contextmanager
def scale(factor: float) -> Iterator[None]:
    """Multiply the blocks by ``factor`` for the length of the ``with`` statement."""
    global _scale
    before, _scale = _scale, _scale * factor
    try:
        yield
    finally:
        _scale = before
