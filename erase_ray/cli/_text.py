"""Numbers and lines for the terminal."""

import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from erase_ray.report.numbers import significant


def size_text(size_bytes: float) -> str:
    """A size with a decimal unit, such as ``690 MB``."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{significant(size_bytes / size)} {unit}"
    return f"{size_bytes:.0f} bytes"


def rough(count: int) -> str:
    """A number of things in a few letters, such as ``20.0M``."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{significant(count / size)}{unit}"
    return str(count)


def peak_memory_bytes() -> int:
    """The most memory that this process has had at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def show(lines: Iterable[str]) -> None:
    """Print lines at once."""
    print("\n".join(lines), flush=True)


def folder_text(folder: Path) -> str:
    """The size of all files below a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return f"{len(sizes)} files, {size_text(sum(sizes))}"


@dataclass
class Steps:
    """One line a step with the seconds that it took, written as it goes.

    Call it with the name of each step that begins, inside a ``with`` block.
    """

    _began: float | None = field(default=None)
    total_s: float = 0.0

    def __call__(self, step: str) -> None:
        """End the step before, if any, and begin ``step``."""
        self.close()
        self._began = time.perf_counter()
        print(f"  {step:<24}", end="", flush=True)

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._began is not None:
            print(flush=True)  # so that the error is a line of its own

    def close(self, remark: str = "") -> None:
        """End the present step."""
        if self._began is None:
            return
        seconds = time.perf_counter() - self._began
        self._began, self.total_s = None, self.total_s + seconds
        print(f"{seconds:8.1f} s  {remark}".rstrip(), flush=True)
