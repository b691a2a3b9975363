"""How far something is: a line for the eye, or whatever the caller does with each step."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

from erase_ray.experiment.plan import Node
from erase_ray.experiment.progress import LiveLine
from erase_ray.experiment.walk import Facts, Walk, Watcher

REDRAW_S = 0.2


@dataclass(frozen=True)
class Step:
    """Something was finished.

    Args:
        done: Things that are over, this one included.
        total: Of all things.
        label: What it was.
        status: ``done`` or ``failed`` for cells, the outcome of a request, ``epoch`` for one.
        note: Why it failed or was not applied, or the loss of an epoch; may be empty.
    """

    done: int
    total: int
    label: str
    status: str
    note: str = ""


Progress = bool | Callable[[Step], None] | None
"""True: a line. False: nothing. None: a line where somebody sees it. Or a function of a step."""


def in_notebook() -> bool:
    """True inside a Jupyter kernel, whose output knows a carriage return."""
    shell = sys.modules.get("IPython")
    found = shell.get_ipython() if shell is not None else None
    return found is not None and type(found).__name__ == "ZMQInteractiveShell"


class Reporter:
    """Tells of one step after the other.

    Args:
        total: How many there will be.
        what: What is done, for the line.
        progress: Where it goes.
        stream: In place of the terminal or the notebook.
    """

    def __init__(
        self, total: int, what: str, progress: Progress, stream: TextIO | None = None
    ) -> None:
        self._total, self._what = total, what
        self._call = progress if callable(progress) else None
        self._stream = stream or _stream()
        self._live = in_notebook() or self._stream.isatty()
        self._shows = progress is True or (progress is None and self._live)
        self._done, self._width, self._shown = 0, 0, 0.0

    def __call__(self, label: str, status: str, note: str = "") -> None:
        """Take note of a step."""
        self._done += 1
        if self._call is not None:
            self._call(Step(self._done, self._total, label, status, note))
        is_last = self._done == self._total
        if self._shows and self._live and (is_last or time.monotonic() - self._shown > REDRAW_S):
            self._draw(f"{label}: {status}{f', {note}' if note else ''}")

    def close(self, outcome: str) -> None:
        """Say how it ended, and go to the next line."""
        if not self._shows:
            return
        if self._live:
            self._draw(outcome)
        else:
            self._stream.write(self._line(outcome))
        self._stream.write("\n")
        self._stream.flush()

    def _draw(self, text: str) -> None:
        self._shown = time.monotonic()
        line = self._line(text)[:100]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def _line(self, text: str) -> str:
        return f"[{self._done}/{self._total}] {self._what} | {text}"


class Calling(Watcher):
    """Calls a function after every cell.

    Args:
        call: The function.
    """

    def __init__(self, call: Callable[[Step], None]) -> None:
        self._call = call

    def begin(self, walk: Walk) -> None:
        """Remember where the counts are."""
        self._walk = walk

    def finished(self, node: Node, facts: Facts) -> None:
        """Tell of it."""
        self._tell(node, "done", "")

    def failed(self, node: Node, error: str, trace: str) -> None:
        """Tell of it, with the reason."""
        self._tell(node, "failed", error)

    def _tell(self, node: Node, status: str, note: str) -> None:
        walk = self._walk
        over = len(walk.done) + len(walk.failures)
        self._call(Step(over, walk.total, node.label, status, note))


def watchers_of(progress: Progress, slots: int) -> list[Watcher]:
    """What shows the way of a walk."""
    if callable(progress):
        return [Calling(progress)]
    if progress is False or (progress is None and not in_notebook() and not _stream().isatty()):
        return []
    stream = _Redrawn(sys.stdout) if in_notebook() else None
    return [LiveLine(slots, stream)]  # type: ignore[arg-type]


@contextmanager
def ticking(watchers: list[Watcher], every_s: float = 0.5) -> Iterator[list[Watcher]]:
    """The watchers, which are told of the time that passes while a cell keeps this thread busy."""
    lock, over = threading.Lock(), threading.Event()
    guarded: list[Watcher] = [_Guarded(watcher, lock) for watcher in watchers]

    def run() -> None:
        while not over.wait(every_s):
            for watcher in guarded:
                with suppress(RuntimeError):  # what it counts has just changed; the next will do
                    watcher.tick()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    if watchers:
        thread.start()
    try:
        yield guarded
    finally:
        over.set()
        if watchers:
            thread.join()


class _Guarded(Watcher):
    """One call at a time, and none before the walk begins or after it ends."""

    def __init__(self, inner: Watcher, lock: Any) -> None:
        self._inner, self._lock, self._open = inner, lock, False

    def begin(self, walk: Walk) -> None:
        with self._lock:
            self._inner.begin(walk)
            self._open = True

    def started(self, node: Node) -> None:
        with self._lock:
            self._inner.started(node)

    def finished(self, node: Node, facts: Facts) -> None:
        with self._lock:
            self._inner.finished(node, facts)

    def failed(self, node: Node, error: str, trace: str) -> None:
        with self._lock:
            self._inner.failed(node, error, trace)

    def again(self, node: Node, kind: str, error: str, trace: str) -> None:
        with self._lock:
            self._inner.again(node, kind, error, trace)

    def tick(self) -> None:
        with self._lock:
            if self._open:
                self._inner.tick()

    def end(self) -> None:
        with self._lock:
            self._open = False
            self._inner.end()


class _Redrawn:
    """A stream of a notebook, which draws over a line as a terminal does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return True


def _stream() -> TextIO:
    return sys.stdout if in_notebook() else sys.stderr
