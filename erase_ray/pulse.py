"""Signs of life: work says that it goes on, and whoever watches the process asks when it last did.

Long work calls :func:`beat` at every step (of the optimiser, of a chain, of an upload); it costs
less than a microsecond. What does not beat for long hangs, and is ended and begun anew elsewhere.
"""

import time

_last = time.monotonic()


def beat() -> None:
    """Say that work goes on."""
    global _last
    _last = time.monotonic()


def silence() -> float:
    """Seconds since the last beat of this process."""
    return time.monotonic() - _last
