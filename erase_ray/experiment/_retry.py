"""A connection to a storage that lives through outages and keys that run out."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from erase_ray.errors import StoreError
from erase_ray.experiment._faults import is_forbidden, is_transient

logger = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S = float(os.environ.get("ERASE_RAY_RETRY_S", "300"))
"""An operation that fails in passing is repeated for so long."""
OPENING_S = 20.0
"""The first operation on an address only for so long: the address itself may be wrong."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
RENEWALS = 2
"""So often a storage that refuses the keys is opened anew for one operation."""

_jitter = random.SystemRandom()


class StorageDownError(StoreError):
    """The storage did not answer properly for as long as we wait."""


class GivenUp(Exception):
    """The last of many attempts failed with the error that this comes from."""


class Connection:
    """An fsspec file system whose operations are repeated where that may help.

    Clients repeat single requests a few times themselves, which saves sending the other parts of a
    large file again (see ``_s3.py``); what is here goes on for minutes.

    Args:
        fs: The file system.
        reopen: Makes it anew, with what the environment, the profile or the role say *now*.
    """

    def __init__(self, fs: Any, reopen: Callable[[], Any] | None = None) -> None:
        self.fs = fs
        self.patience_s = RETRY_S
        self._reopen = reopen
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        # another process opens it itself, with its own keys
        return _connected, (None if self._reopen else self.fs, self._reopen)

    def call(self, operation: Callable[[Any], T]) -> T:
        """The result of ``operation(fs)``, which may run several times.

        Raises:
            GivenUp: It failed in passing until patience ran out.
            Exception: Whatever else it raises.
        """
        started, tries, renewals = time.monotonic(), 0, 0
        while True:
            fs = self.fs
            try:
                return operation(fs)
            except Exception as error:
                tries += 1
                wait_s = _wait_s(tries)
                if self._reopen and is_forbidden(error) and renewals < RENEWALS:
                    renewals += 1
                    self._renew(fs)
                elif not is_transient(error) or is_forbidden(error):
                    raise
                elif time.monotonic() + wait_s - started > self.patience_s:
                    text = f"given up after {tries} attempts"
                    raise GivenUp(text) from error
                logger.info("attempt %d failed, again in %.1f s: %s", tries, wait_s, _short(error))
            time.sleep(wait_s)

    def _renew(self, fs: Any) -> None:
        """Open the file system anew, unless another thread has done so already."""
        with self._lock:
            if self.fs is fs and self._reopen:
                self.fs = self._reopen()


def _connected(fs: Any, reopen: Callable[[], Any] | None) -> Connection:
    return Connection(reopen() if reopen else fs, reopen)


def _wait_s(tries: int) -> float:
    """Exponential back-off with full jitter: clients that failed together come back apart."""
    return _jitter.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**tries))


def _short(error: Exception) -> str:
    return type(error).__name__  # texts of back ends may quote the address with its secrets
