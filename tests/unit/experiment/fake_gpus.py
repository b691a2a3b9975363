"""A torch.cuda and an NVML that say what they are told to."""

from types import SimpleNamespace


class NVMLError(Exception):
    pass


class FakeCuda:
    """Two devices; tensors are counted only on the first."""

    def __init__(self, peaks=(3_000_000, 0)):
        self.peaks, self.calls = dict(enumerate(peaks)), []

    def device_count(self):
        return len(self.peaks)

    def synchronize(self, device):
        self.calls.append("synchronize")

    def reset_peak_memory_stats(self, place):
        self.calls.append(f"reset {place}")

    def max_memory_allocated(self, place):
        return self.peaks[place]

    def get_device_properties(self, place):
        return SimpleNamespace(uuid=f"uuid-{place}")


class FakeNvml:
    """Devices by UUID: millijoules and milliwatts at each reading, and processes."""

    NVMLError = NVMLError

    def __init__(self, energies=None, powers=None, users=()):
        self.energies, self.powers, self.users = energies or {}, powers or {}, list(users)
        self.opened = 0

    def nvmlInit(self):
        self.opened += 1

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._next(self.energies, handle)

    def nvmlDeviceGetPowerUsage(self, handle):
        return self._next(self.powers, handle)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [object()] * (self.users.pop(0) if self.users else 0)

    def _next(self, readings, handle):
        if handle not in readings:
            raise NVMLError("Not Supported")
        left = readings[handle]
        return left.pop(0) if len(left) > 1 else left[0]
