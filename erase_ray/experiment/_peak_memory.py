"""The most resident memory of this process since a moment: a worker runs many cells."""

import math
import os
import resource
import sys
from pathlib import Path
from typing import Protocol

PROC = Path("/proc/self")
EVERY_S = 0.05
_RESET_PEAK = "5"
"""What ``clear_refs`` takes to begin the high-water mark anew; see proc(5)."""


class PeakMemory(Protocol):
    """One of the ways to find it out."""

    @property
    def every_s(self) -> float:
        """Seconds from one look to the next."""
        ...

    def begin(self) -> None:
        """Forget what was before."""
        ...

    def sample(self) -> None:
        """Look now."""
        ...

    def peak_bytes(self) -> int:
        """The most since the beginning."""
        ...


def peak_memory(proc: Path = PROC) -> PeakMemory:
    """The best way that this system offers."""
    if KernelPeak(proc).can_begin():
        return KernelPeak(proc)
    return SampledPeak(proc) if (proc / "statm").exists() else LifePeak()


class KernelPeak:
    """The kernel's own mark, begun anew; costs nothing and misses nothing (Linux)."""

    every_s = math.inf

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    def can_begin(self) -> bool:
        """Whether the kernel lets this process begin its mark anew."""
        try:
            self.begin()
            return self.peak_bytes() > 0
        except (OSError, StopIteration):
            return False

    def begin(self) -> None:
        """Put the mark at what is used now."""
        (self._proc / "clear_refs").write_text(_RESET_PEAK)

    def sample(self) -> None:
        """The kernel looks."""

    def peak_bytes(self) -> int:
        """The mark."""
        lines = (self._proc / "status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


class SampledPeak:
    """The most of many looks; misses what lasts less than ``EVERY_S`` (Linux, mark read-only)."""

    every_s = EVERY_S

    def __init__(self, proc: Path = PROC) -> None:
        self._proc, self._peak = proc, 0

    def begin(self) -> None:
        """Forget earlier looks."""
        self._peak = 0

    def sample(self) -> None:
        """Take note of what is used now."""
        pages = int((self._proc / "statm").read_text().split()[1])
        self._peak = max(self._peak, pages * os.sysconf("SC_PAGE_SIZE"))

    def peak_bytes(self) -> int:
        """The most that was seen."""
        return self._peak


class LifePeak:
    """The most in the whole life of the process: an upper bound (macOS)."""

    every_s = math.inf

    def begin(self) -> None:
        """Nothing can be forgotten."""

    def sample(self) -> None:
        """The kernel looks."""

    def peak_bytes(self) -> int:
        """The most so far."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
