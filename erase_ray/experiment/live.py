"""What a cell tells while it runs: its log and its requests, in the store seconds later.

Lines go into ``live/<try>-<number>.jsonl`` of the cell and are of use until the cell is committed;
then the record has them all, and they are deleted.
"""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from erase_ray.errors import StoreError
from erase_ray.experiment._commit import to_json_lines
from erase_ray.experiment.blobs import Blobs

logger = logging.getLogger(__name__)

EVERY_S = 5.0
CHUNK_BYTES = 65_536
"""A file is written anew, with what was added, until it has this size."""
MOST_BYTES = 1 << 24
"""While the storage does not answer, older lines are dropped beyond this."""


class Stream:
    """Sends lines to the store every few seconds, in a thread of its own.

    Args:
        blobs: The storage.
        folder: Holds what is told of one cell.
        every_s: Seconds from one write to the next.
    """

    def __init__(self, blobs: Blobs, folder: str, every_s: float = EVERY_S) -> None:
        self._blobs, self._every_s = blobs, every_s
        self._stem = f"{folder}/{uuid.uuid4().hex[:12]}"
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._chunk, self._number = b"", 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def tell(self, event: dict[str, Any]) -> None:
        """Add a line."""
        line = to_json_lines([{"time": round(time.time(), 3)} | event])
        with self._lock:
            self._lines.append(line)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        """Send what is left; after an error it is all that tells what happened."""
        self._over.set()
        self._thread.join()
        if args[0] is not None:
            self._send()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._send()

    def _send(self) -> None:
        with self._lock:
            new, self._lines = self._lines, []
        if not new:
            return
        chunk = self._chunk + b"".join(new)
        try:
            self._blobs.write(f"{self._stem}-{self._number:06d}.jsonl", chunk)
        except StoreError as error:
            logger.debug("not told yet: %s", error)
            with self._lock:
                self._lines = _bounded(new + self._lines)
            return
        self._chunk = chunk
        if len(chunk) > CHUNK_BYTES:
            self._chunk, self._number = b"", self._number + 1


def read(blobs: Blobs, folder: str) -> list[dict[str, Any]]:
    """All that was told of a cell that runs, try by try; empty once it is committed."""
    texts = [(blobs.read(name) or b"").decode() for name in blobs.names(folder)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


_current: ContextVar[Stream | None] = ContextVar("live", default=None)


def tell(event: dict[str, Any]) -> None:
    """Add a line to the stream of the cell that runs in this thread, if there is one."""
    stream = _current.get()
    if stream is not None:
        stream.tell(event)


class Log(list[dict[str, Any]]):
    """Events of a cell; what is appended is told as well."""

    def append(self, event: dict[str, Any]) -> None:
        """Add an event."""
        super().append(event)
        tell(event)


@contextmanager
def streamed(stream: Stream) -> Iterator[None]:
    """Send what is told inside the ``with`` statement, warnings of the log included."""
    handler = _Handler(stream)
    token = _current.set(stream)
    logging.getLogger("erase_ray").addHandler(handler)
    try:
        with stream:
            stream.tell({"event": "begin", "pid": os.getpid()})
            yield
    finally:
        logging.getLogger("erase_ray").removeHandler(handler)
        _current.reset(token)


class _Handler(logging.Handler):
    def __init__(self, stream: Stream) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a warning, unless it is about telling."""
        if record.name != __name__:
            level, message = record.levelname, record.getMessage()
            self._stream.tell({"event": "message", "level": level, "message": message})


def _bounded(lines: list[bytes]) -> list[bytes]:
    total, kept = 0, []
    for line in reversed(lines):
        total += len(line)
        if total > MOST_BYTES:
            break
        kept.append(line)
    return kept[::-1]
