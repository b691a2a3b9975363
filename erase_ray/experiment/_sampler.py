"""Look at things again and again, in a thread that sleeps in between."""

import math
import threading
from typing import Protocol


class Sampled(Protocol):
    """Something that has to be looked at while work goes on."""

    @property
    def every_s(self) -> float:
        """Seconds from one look to the next; infinite if there is no need to."""
        ...

    def sample(self) -> None:
        """Look now."""
        ...


class Sampler:
    """Samples at the shortest interval that any of ``sampled`` asks for.

    No thread is started where none of them asks for any.
    """

    def __init__(self, *sampled: Sampled) -> None:
        self._sampled = sampled
        self._every_s = min((one.every_s for one in sampled), default=math.inf)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    def start(self) -> None:
        """Look once, and go on in a thread."""
        self.sample()
        if math.isfinite(self._every_s):
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def sample(self) -> None:
        """Look now."""
        with self._lock:
            for one in self._sampled:
                one.sample()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.sample()
