"""Files on their way to a remote storage: kept on the local disk, sent by threads behind the work.

* Whoever puts a file goes on at once, unless more than ``LIMIT_BYTES`` are on their way; then it
  waits. A file that is just being written comes on top of that.
* A file is deleted in the storage only after all that was put in its folder before is there. If
  something could not be put, deletions in its folder are dropped until the owner has asked what was
  :meth:`Spool.lost`. So a journal never loses old snapshots to a new one that did not arrive.
* What is on its way can be read here. It is gone with the process: nothing counts as stored before
  :meth:`Spool.settle`.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from erase_ray import pulse
from erase_ray.errors import StoreError
from erase_ray.experiment import _retry, _spool_folder
from erase_ray.experiment._retry import StorageDownError
from erase_ray.experiment.blobs import Blobs

logger = logging.getLogger(__name__)

LIMIT_BYTES = int(float(os.environ.get("ERASE_RAY_SPOOL_BYTES", "2e9")))
"""For each process; 0 sends everything at once."""
THREADS = 4
IDLE_S = 5.0
"""A thread without work ends after this."""
_LOOK_S = 1.0


@dataclass(eq=False)
class _Job:
    blobs: Blobs
    name: str
    path: Path | None = None
    """Of the file to be sent; None if it is to be deleted in the storage."""
    size: int = 0
    once: bool = False
    is_running: bool = False

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    def waits_for(self, earlier: "_Job") -> bool:
        """Whether an earlier job has to be over first."""
        same = earlier.name == self.name
        return same or (self.path is None and earlier.folder == self.folder)


class Spool:
    """The files of this process on their way to one address."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._failed: dict[str, StoreError] = {}
        self._change = threading.Condition()
        self._threads = 0
        self._bytes = self._sent = self._over = 0
        self._success = time.monotonic()

    def put(self, blobs: Blobs, path: Path, name: str, once: bool) -> None:
        """Take a file over, and send it as soon as may be; waits while there are too many."""
        size = path.stat().st_size
        with self._change:
            self._wait_while(lambda: self._bytes > 0 and self._bytes + size > LIMIT_BYTES)
            kept = path.rename(_spool_folder.new_path())
            self._failed.pop(name, None)
            self._bytes += size
            self._add(_Job(blobs, name, kept, size, once))

    def remove(self, blobs: Blobs, name: str) -> bool:
        """Delete a file after what was put in its folder before; False if nothing was."""
        job = _Job(blobs, name)
        with self._change:
            if any(_is_below(failed, job.folder) for failed in self._failed):
                return True
            if not any(job.waits_for(earlier) for earlier in self._jobs):
                return False
            self._add(job)
            return True

    def pending(self) -> dict[str, int | None]:
        """Sizes of all files on their way; None for those that are about to be deleted."""
        with self._change:
            return {job.name: job.size if job.path else None for job in self._jobs}

    def pinned(self, name: str) -> Path | None:
        """Another path of a file on its way, to be deleted by the caller; None if it is not."""
        with self._change:
            paths = [job.path for job in self._jobs if job.name == name]
            if not paths or not paths[-1]:
                return None
            link = _spool_folder.new_path()
            os.link(paths[-1], link)
            return link

    def settle(self, folder: str) -> None:
        """Wait until nothing below ``folder`` is on its way; raise if something did not arrive."""
        with self._change:
            self._wait_while(lambda: any(_is_below(job.name, folder) for job in self._jobs))
            errors = self._taken_failures(folder)
        if errors:
            others = f" (and {len(errors) - 1} more files)" if len(errors) > 1 else ""
            first = next(iter(errors.values()))
            raise type(first)(f"{first}{others}") from first

    def lost(self, folder: str) -> list[str]:
        """Names below ``folder`` that did not arrive, since this was asked last."""
        with self._change:
            return list(self._taken_failures(folder))

    def drop(self, folder: str) -> None:
        """Forget what is on its way to ``folder``; returns when nothing is any more."""
        with self._change:
            for job in [j for j in self._jobs if _is_below(j.name, folder) and not j.is_running]:
                self._end(job, None)
            self._wait_while(lambda: any(_is_below(job.name, folder) for job in self._jobs))
            self._taken_failures(folder)

    def wait_for_room(self) -> bool:
        """Wait until one of the files has been sent; False if there are none."""
        with self._change:
            if not self._bytes:
                return False
            before = self._over
            self._wait_while(lambda: self._over == before)
            return True

    def _taken_failures(self, folder: str) -> dict[str, StoreError]:
        names = [name for name in self._failed if _is_below(name, folder)]
        return {name: self._failed.pop(name) for name in names}

    def _wait_while(self, is_blocked: Callable[[], bool]) -> None:
        """Wait, and beat while files are being sent."""
        seen = self._sent
        while is_blocked():
            self._change.wait(_LOOK_S)
            if self._sent != seen:
                seen = self._sent
                pulse.beat()

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._threads < min(THREADS, len(self._jobs)):
            self._threads += 1
            threading.Thread(target=self._work, name="spool", daemon=True).start()
        self._change.notify_all()

    def _work(self) -> None:
        while job := self._begun():
            error = None
            try:
                if job.path:
                    job.blobs.adopt(job.path, job.name, job.once, self._tell)
                else:
                    job.blobs.remove(job.name)
            except Exception as caught:
                error = caught if isinstance(caught, StoreError) else StoreError(repr(caught))
            with self._change:
                self._end(job, error)

    def _begun(self) -> _Job | None:
        """The next job that may run; None when there has been none for a while."""
        with self._change:
            while (job := self._next()) is None:
                if not self._change.wait(IDLE_S) and self._next() is None:
                    self._threads -= 1
                    return None
            job.is_running = True
            return job

    def _next(self) -> _Job | None:
        if _spool_folder.ending.is_set():
            return None
        for place, job in enumerate(self._jobs):
            if job.is_running or any(job.waits_for(each) for each in self._jobs[:place]):
                continue
            return job
        return None

    def _tell(self, num_bytes: int) -> None:
        self._sent += num_bytes

    def _end(self, job: _Job, error: StoreError | None) -> None:
        self._jobs.remove(job)
        self._over += 1
        if job.path:
            self._bytes -= job.size
            job.path.unlink(missing_ok=True)
        if error is None:
            self._sent += 1
            self._success = time.monotonic()
        else:
            self._fail(job, error)
        self._change.notify_all()

    def _fail(self, job: _Job, error: StoreError) -> None:
        if _spool_folder.ending.is_set():
            return
        logger.warning("%s is not stored: %s", job.name, error)
        if not job.path:
            return
        self._failed[job.name] = type(error)(str(error))  # without what its traceback holds on to
        for each in [j for j in self._jobs if not j.path and j.folder == job.folder]:
            if not each.is_running:
                self._end(each, None)
        silent_s = time.monotonic() - self._success
        if isinstance(error, StorageDownError) and silent_s >= _retry.RETRY_S:
            for each in [j for j in self._jobs if j.path and not j.is_running]:
                self._end(each, StoreError(str(error)))


_spools: dict[tuple[int, str], Spool] = {}
_spools_lock = threading.Lock()


def spool_of(address: str) -> Spool:
    """The spool of this process for an address."""
    with _spools_lock:
        return _spools.setdefault((os.getpid(), address), Spool())


def _is_below(name: str, folder: str) -> bool:
    return not folder or name.startswith(f"{folder}/")
