"""What a cell takes: time, processors, memory, GPUs and their energy."""

import time
from dataclasses import dataclass
from typing import Any, Self

import torch

from erase_ray.experiment._energy import Energy, Nvml
from erase_ray.experiment._peak_memory import PeakMemory, peak_memory
from erase_ray.experiment._sampler import Sampler

MB = 1e6


@dataclass(frozen=True)
class Usage:
    """What was used between the beginning of a meter and its reading, by this process.

    Args:
        seconds: By the clock on the wall.
        cpu_seconds: Of all threads of this process; helpers in other processes are not in it.
        peak_memory_mb: Most resident memory of this process at once, libraries included.
        gpus: Devices on which this process kept tensors.
        peak_gpu_memory_mb: Most memory of tensors on any one of them.
        energy: Of whole devices, whoever used them; None where it cannot be told.
    """

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    gpus: int = 0
    peak_gpu_memory_mb: float = 0.0
    energy: Energy | None = None

    @property
    def gpu_seconds(self) -> float:
        """Seconds times devices, also where other processes had a share of them."""
        return self.seconds * self.gpus


class Meter:
    """Measures what happens inside its ``with`` block.

    Of two meters that run in one process at once, the peaks of the outer one are those since the
    inner one began.

    Args:
        device: Where the work is done.
        cuda: The functions of ``torch.cuda``.
        pynvml: The library of that name; imported if it is there and ``device`` is a GPU.
    """

    def __init__(self, device: torch.device, cuda: Any = torch.cuda, pynvml: Any = None) -> None:
        self._device, self._cuda, self._pynvml = device, cuda, pynvml
        self._memory: PeakMemory = peak_memory()
        self._nvml: Nvml | None = None

    def __enter__(self) -> Self:
        self._memory.begin()
        if self._is_gpu:
            self._begin_gpus()
        self._sampler = Sampler(self._memory, *([self._nvml] if self._nvml else []))
        self._cpu_began, self._began = time.process_time(), time.perf_counter()
        self._sampler.start()
        return self

    def __exit__(self, *args: object) -> None:
        """End sampling."""
        self._sampler.stop()

    def usage(self) -> Usage:
        """What was used so far; waits for the GPU."""
        if self._is_gpu:
            self._cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._began
        cpu_seconds = time.process_time() - self._cpu_began
        self._sampler.sample()
        peaks = self._gpu_peaks() if self._is_gpu else {}
        return Usage(
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            peak_memory_mb=self._memory.peak_bytes() / MB,
            gpus=len(peaks),
            peak_gpu_memory_mb=max(peaks.values(), default=0) / MB,
            energy=self._nvml.energy(list(peaks)) if self._nvml else None,
        )

    @property
    def _is_gpu(self) -> bool:
        return self._device.type == "cuda"

    def _begin_gpus(self) -> None:
        self._cuda.synchronize(self._device)
        places = range(self._cuda.device_count())
        for place in places:
            self._cuda.reset_peak_memory_stats(place)
        uuids = [f"GPU-{self._cuda.get_device_properties(place).uuid}" for place in places]
        self._nvml = Nvml.open(uuids, self._pynvml)

    def _gpu_peaks(self) -> dict[int, int]:
        """Most bytes of tensors on each device that holds any."""
        places = range(self._cuda.device_count())
        peaks = {place: self._cuda.max_memory_allocated(place) for place in places}
        return {place: peak for place, peak in peaks.items() if peak}
