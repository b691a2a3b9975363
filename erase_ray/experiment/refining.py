"""A plan that gets better while it is walked."""

import time
from collections.abc import Callable

from erase_ray.experiment.fit import Fit
from erase_ray.experiment.plan import Node
from erase_ray.experiment.walk import Facts, Walk, Watcher

EVERY_S = 60.0
"""From one look at the rest of the plan to the next; for a large one it takes about a second."""


class Refining(Watcher):
    """Teaches a fit what nodes took, and now and then orders what is left by it.

    Args:
        fit: Learns.
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, fit: Fit, clock: Callable[[], float] = time.monotonic) -> None:
        self._fit, self._clock = fit, clock
        self._has_news = False

    def begin(self, walk: Walk) -> None:
        """Take note of the walk."""
        self._walk, self._looked = walk, self._clock()

    def finished(self, node: Node, facts: Facts) -> None:
        """Learn."""
        self._fit.observe(node, facts)
        self._has_news = True

    def tick(self) -> None:
        """Estimate the rest anew, if it is time to."""
        if self._has_news and self._clock() - self._looked >= EVERY_S:
            self._looked, self._has_news = self._clock(), False
            self._walk.plan.refresh(self._fit)
            self._walk.reorder()
