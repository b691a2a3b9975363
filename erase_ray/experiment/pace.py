"""When something long is worth a snapshot."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How often snapshots are taken.

    Args:
        every_s: Seconds from one to the next.
        mark_s: The same where a mark was just measured, or what comes before the first request
            has been done; what takes less is sooner done again than stored.
        share: Most of the time that snapshots may take; where they take long, they are rarer.
    """

    every_s: float = 60.0
    mark_s: float = 5.0
    share: float = 0.05


class Rhythm:
    """Keeps a pace: knows when the last snapshot was taken, and how long that took."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._took = 0.0
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self._last = time.monotonic()

    def is_due(self, is_mark: bool = False) -> bool:
        """Whether it is time for the next one."""
        limit = self._pace.mark_s if is_mark else self._pace.every_s
        return time.monotonic() - self._last >= max(limit, self._took / self._pace.share)

    @contextmanager
    def beat(self) -> Iterator[None]:
        """Take one inside the ``with`` statement."""
        started = time.monotonic()
        yield
        self._last = time.monotonic()
        self._took = self._last - started
