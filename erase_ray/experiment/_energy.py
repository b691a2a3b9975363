"""Energy of NVIDIA GPUs, by NVML (the optional library ``nvidia-ml-py``)."""

import importlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)

POWER_EVERY_S = 0.1
SHARERS_EVERY_S = 1.0


@dataclass(frozen=True)
class Energy:
    """What devices took as a whole.

    Args:
        joules: Sum over the devices; where other processes ran on them, theirs is in it.
        sharers: Most processes that computed on any one of the devices at once; 0 if NVML does not
            tell, as in some containers.
    """

    joules: float
    sharers: int


@dataclass(eq=False)
class Nvml:
    """Energy and users of some devices, from the first sample on.

    The counter of a device is read where it has one (Volta and later), in millijoules since the
    driver was loaded; elsewhere its power is sampled and integrated by the trapezoidal rule.
    """

    devices: list["_Device"]

    @classmethod
    def open(cls, uuids: Sequence[str], pynvml: Any = None) -> "Nvml | None":
        """The devices of these UUIDs; None if NVML or a device cannot be reached."""
        try:
            library = pynvml or importlib.import_module("pynvml")
            library.nvmlInit()
            handles = [library.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
        except Exception as error:  # the library's own errors are known only where it is there
            logger.debug("no energy of GPUs: %s", error)
            return None
        return cls([_Device(library, handle) for handle in handles])

    @property
    def every_s(self) -> float:
        """Power has to be looked at often, users now and then."""
        return SHARERS_EVERY_S if all(d.has_counter for d in self.devices) else POWER_EVERY_S

    def sample(self) -> None:
        """Read counters and users now."""
        for device in self.devices:
            device.sample()

    def energy(self, places: Sequence[int]) -> Energy | None:
        """Of the devices at ``places``; None if one of them tells nothing, or there are none."""
        chosen = [self.devices[place] for place in places]
        joules = [device.joules for device in chosen if device.joules is not None]
        if not chosen or len(joules) < len(chosen):
            return None
        return Energy(sum(joules), max(device.sharers for device in chosen))


@dataclass(eq=False)
class _Device:
    library: Any
    handle: Any
    has_counter: bool = field(init=False)
    joules: float | None = field(default=None, init=False)
    sharers: int = field(default=0, init=False)
    _last: tuple[float, float] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.has_counter = self._ask("nvmlDeviceGetTotalEnergyConsumption") is not None

    def sample(self) -> None:
        self._count() if self.has_counter else self._integrate()
        users = self._ask("nvmlDeviceGetComputeRunningProcesses")
        self.sharers = max(self.sharers, len(users or ()))

    def _count(self) -> None:
        now_mj = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        if now_mj is None:
            return
        before = self._last or (0.0, now_mj)
        self._last = before
        self.joules = (now_mj - before[1]) / 1000

    def _integrate(self) -> None:
        now_mw = self._ask("nvmlDeviceGetPowerUsage")
        if now_mw is None:
            return
        now = (time.perf_counter(), now_mw / 1000)
        before = self._last or now
        self._last = now
        added = (now[0] - before[0]) * (now[1] + before[1]) / 2
        self.joules = (self.joules or 0.0) + added

    def _ask(self, name: str) -> Any:
        """The answer of NVML; None where the device has none."""
        ask: Callable[[Any], Any] = getattr(self.library, name)
        try:
            return ask(self.handle)
        except self.library.NVMLError as error:
            logger.debug("%s: %s", name, error)
            return None
