"""Who works on a piece of the store just now, so that two drivers do not do the same work.

A lease is a series of objects ``lease/000001``, ``000002`` ...; the highest is in force. Whoever
wants the work creates the next one, which the storage allows only one to do. The holder writes its
own object anew every few seconds. A lease whose object has not changed for ``TTL_S`` *as seen by
whoever waits*, on its own clock, is void; clocks of machines are never compared. So is one whose
holder was on this machine and is gone, or is an earlier try of the same driver, which knows that
it is over.

A lease saves work, it does not guard the result: that is done by the commit of the folder, which
comes out right whoever writes and how often. So a holder that was slow, and lost its lease, may
end its work all the same.
"""

import json
import logging
import os
import socket
import threading
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from erase_ray.errors import StoreError
from erase_ray.experiment.blobs import Blobs

logger = logging.getLogger(__name__)

TTL_S = float(os.environ.get("ERASE_RAY_LEASE_S", "60"))
"""After so long without a sign of its holder a lease is void."""
BEATS = 4
"""Signs of life within that time."""
JOIN_S = 10.0


@dataclass(frozen=True)
class Seen:
    """What somebody saw of another's lease.

    Args:
        token: Generation, number of the last beat and holder.
        seconds: For how long that has not changed, as far as the observer knows.
    """

    token: str
    seconds: float


@dataclass(eq=False)
class Lease:
    """The right to do one piece of work.

    Args:
        blobs: The storage.
        folder: Holds the lease alone.
        driver: Name of the driver that hands out the work; its tries follow one another.
    """

    blobs: Blobs
    folder: str
    driver: str
    _generation: int = 0
    _beat: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _holder: dict[str, Any] = field(default_factory=dict)

    def acquire(self, seen: Seen | None = None) -> str | None:
        """Take the lease.

        Args:
            seen: What the caller knows of the lease that was in its way before.

        Returns:
            None if it is taken now, else the token of the lease in force.

        Raises:
            StoreError: The storage cannot be read or written.
        """
        self._holder = {"driver": self.driver, "try": uuid.uuid4().hex} | _process()
        generation, content = self._in_force()
        if content is not None and not self._is_void(generation, content, seen):
            return _token(generation, content)
        self._generation = generation + 1
        if not self.blobs.create(self._name(self._generation), self._content()):
            generation, content = self._in_force()
            return _token(generation, content or {})
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return None

    def release(self) -> None:
        """Give it back, if it is held."""
        self._over.set()
        if self._thread is None:
            return
        # a beat that is on its way would put it back; one that is slow removes it itself
        self._thread.join(JOIN_S)
        self._remove()

    def _remove(self) -> None:
        try:
            for number in range(1, self._generation + 1):
                self.blobs.remove(self._name(number))
        except StoreError as error:  # it will be void soon enough
            logger.warning("a lease stays behind: %s", error)

    def _keep(self) -> None:
        while not self._over.wait(TTL_S / BEATS):
            self._beat += 1
            try:
                self.blobs.write(self._name(self._generation), self._content())
            except StoreError as error:
                logger.warning("no sign of life: %s", error)
            if self._over.is_set():
                self._remove()

    def _in_force(self) -> tuple[int, dict[str, Any] | None]:
        """Number and content of the highest generation; 0 and None if there is none."""
        numbers = [int(name.rpartition("/")[2]) for name in self.blobs.names(self.folder)]
        if not numbers:
            return 0, None
        data = self.blobs.read(self._name(max(numbers)))
        return max(numbers), _parsed(data)

    def _is_void(self, generation: int, content: dict[str, Any], seen: Seen | None) -> bool:
        if content.get("driver") == self.driver or _is_gone(content):
            return True
        return bool(seen and seen.token == _token(generation, content) and seen.seconds >= TTL_S)

    def _content(self) -> bytes:
        return json.dumps(self._holder | {"beat": self._beat}, sort_keys=True).encode()

    def _name(self, generation: int) -> str:
        return f"{self.folder}/{generation:06d}"


def _token(generation: int, content: dict[str, Any]) -> str:
    return f"{generation}/{content.get('beat')}/{content.get('try')}"


def _parsed(data: bytes | None) -> dict[str, Any]:
    """The content of a lease; one that was just given back, or is half-written, has none."""
    try:
        content = json.loads(data or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_gone(content: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    own = _process()
    if content.get("place") != own["place"] or not isinstance(content.get("pid"), int):
        return False
    return _birth(content["pid"]) != content.get("birth")


def _process() -> dict[str, Any]:
    pid = os.getpid()
    return {"place": _place(), "pid": pid, "birth": _birth(pid)}


@cache
def _place() -> str:
    """Names this machine since its last start, and the space of its process numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux: such a lease is void after its time only
        return uuid.uuid4().hex


def _birth(pid: int) -> str | None:
    """When a process of this machine began, in its own units; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = text.rpartition(") ")[2].split()
    return None if state in "ZX" else rest[18]
