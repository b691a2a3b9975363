import math
import time

import numpy as np
import pytest
import torch
from chain_toys import chain_cell, prepared
from fake_gpus import FakeCuda, FakeNvml

from erase_ray.experiment import _energy, _peak_memory, costs, meter
from erase_ray.experiment._energy import Energy, Nvml
from erase_ray.experiment._peak_memory import KernelPeak, LifePeak, SampledPeak, peak_memory
from erase_ray.experiment._sampler import Sampler
from erase_ray.experiment.meter import Meter, Usage
from erase_ray.experiment.results import RESULTS
from erase_ray.experiment.run import run_cell
from erase_ray.experiment.setting import Setting
from tests.conftest import CPU

GPU = torch.device("cuda")
MB = 1_000_000


def one_block(size_mb: int) -> None:
    np.ones(size_mb * MB // 8)


def test_seconds_and_cpu_seconds_of_the_block():
    with Meter(CPU) as measured:
        time.sleep(0.05)
        asleep = measured.usage()
        busy_until = time.process_time() + 0.05
        while time.process_time() < busy_until:
            pass
        usage = measured.usage()
    assert asleep.seconds >= 0.05
    assert asleep.cpu_seconds < 0.04
    assert usage.cpu_seconds >= 0.05
    assert usage.seconds >= asleep.seconds + 0.05 - 1e-3
    assert (usage.gpus, usage.gpu_seconds, usage.energy) == (0, 0, None)


@pytest.mark.parametrize("kind", [KernelPeak, SampledPeak])
def test_the_peak_is_that_of_the_block_and_not_of_the_life(kind, monkeypatch):
    if kind is KernelPeak and not KernelPeak().can_begin():
        pytest.skip("this kernel keeps its high-water mark to itself")
    monkeypatch.setattr(meter, "peak_memory", kind)
    one_block(400)
    with Meter(CPU) as small:
        before = small.usage().peak_memory_mb
        block = np.ones(100 * MB // 8)
        time.sleep(2 * _peak_memory.EVERY_S)
        assert small.usage().peak_memory_mb == pytest.approx(before + 100, abs=20)
        del block
    assert LifePeak().peak_bytes() / MB >= before
    with Meter(CPU) as nothing:
        assert nothing.usage().peak_memory_mb < before + 50


def test_the_best_way_that_a_system_offers(tmp_path):
    assert isinstance(peak_memory(tmp_path), LifePeak)
    (tmp_path / "statm").write_text("900 25 3 1 0 9 0\n")
    sampled = peak_memory(tmp_path)
    assert isinstance(sampled, SampledPeak)
    sampled.sample()
    (tmp_path / "statm").write_text("900 20 3 1 0 9 0\n")
    sampled.sample()
    assert sampled.peak_bytes() == 25 * _peak_memory.os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    kernel = peak_memory(tmp_path)
    assert isinstance(kernel, KernelPeak)
    assert kernel.peak_bytes() == 2048 * 1024
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_a_thread_looks_only_where_something_asks_for_it():
    class Watched:
        def __init__(self, every_s):
            self.every_s, self.looks = every_s, 0

        def sample(self):
            self.looks += 1

    once, often = Watched(math.inf), Watched(0.001)
    alone = Sampler(once)
    alone.start()
    alone.stop()
    assert once.looks == 1
    both = Sampler(once, often)
    both.start()
    time.sleep(0.05)
    both.stop()
    assert often.looks == once.looks - 1 > 3
    seen = often.looks
    time.sleep(0.01)
    assert often.looks == seen


def test_gpus_are_waited_for_and_only_those_with_tensors_count():
    cuda = FakeCuda(peaks=(3 * MB, 0, 5 * MB))
    with Meter(GPU, cuda, FakeNvml()) as measured:
        assert cuda.calls == ["synchronize", "reset 0", "reset 1", "reset 2"]
        usage = measured.usage()
        assert cuda.calls[4:] == ["synchronize"]
    assert (usage.gpus, usage.peak_gpu_memory_mb) == (2, 5.0)
    assert usage.gpu_seconds == 2 * usage.seconds
    assert usage.energy is None


def test_energy_is_the_difference_of_the_counters_of_used_devices():
    # the first reading only asks whether there is a counter
    energies = {"GPU-uuid-0": [7_000, 9_000, 21_500], "GPU-uuid-1": [0, 0, 999_000]}
    nvml = FakeNvml(energies, users=[1, 1, 3, 1])
    with Meter(GPU, FakeCuda(), nvml) as measured:
        energy = measured.usage().energy
    assert energy == Energy(joules=12.5, sharers=3)


def test_power_is_integrated_where_there_is_no_counter(monkeypatch):
    clock = iter([10.0, 12.0, 15.0])
    monkeypatch.setattr(_energy.time, "perf_counter", lambda: next(clock))
    nvml = Nvml.open(["GPU-uuid-0"], FakeNvml(powers={"GPU-uuid-0": [100_000, 200_000, 200_000]}))
    assert nvml is not None
    assert nvml.every_s == _energy.POWER_EVERY_S
    for _ in range(3):
        nvml.sample()
    assert nvml.energy([0]) == Energy(joules=2 * 150.0 + 3 * 200.0, sharers=0)


def test_without_nvml_or_numbers_there_is_no_energy():
    class Absent(FakeNvml):
        def nvmlInit(self):
            raise self.NVMLError("driver not loaded")

    assert Nvml.open(["GPU-uuid-0"], Absent()) is None
    silent = Nvml.open(["GPU-uuid-0", "GPU-uuid-1"], FakeNvml({"GPU-uuid-0": [5, 5]}))
    assert silent is not None
    silent.sample()
    assert silent.energy([0, 1]) is None
    assert silent.energy([]) is None
    assert silent.energy([0]) == Energy(0.0, 0)


def test_a_cell_and_its_base_model_tell_what_they_took(tmp_path):
    cell = chain_cell("bpr", "none")
    store = prepared(cell, tmp_path)
    assert run_cell(cell, store, CPU)
    for one, mark, scenario in ((cell, 4, "account"), (cell.base, 0, "")):
        table = store.table(one.key, "costs")
        took = table[table["metric"].isin(["cpu_seconds", "peak_memory_mb"])]
        assert took["metric"].tolist() == ["cpu_seconds", "peak_memory_mb"]
        assert took["unit"].tolist() == ["s", "MB"]
        assert set(took["mark"]) == {mark}
        assert set(took["scenario"]) == {scenario}
        assert set(took["cell"]) == {one.key}
        assert (took["value"] > 0).all()
        assert store.manifest(one.key)["facts"]["seconds"] > 0
        assert not {"gpu_seconds", "energy_j"} & set(table["metric"])
    assert "seconds_request" in set(store.table(cell.key, "costs")["metric"])


def test_rows_of_a_cell_on_gpus(tmp_path):
    cell = chain_cell("bpr", "none")
    setting = Setting.load(cell, prepared(cell, tmp_path), CPU)
    usage = Usage(10.0, 8.0, 512.0, 2, 99.0, Energy(2500.0, 3))
    table = costs.usage_costs(setting, usage)
    assert tuple(table.columns) == RESULTS
    found = {row.metric: (row.value, row.unit, row.n) for row in table.itertuples()}
    assert found == {
        "cpu_seconds": (8.0, "s", 1),
        "peak_memory_mb": (512.0, "MB", 1),
        "gpu_seconds": (20.0, "s", 2),
        "peak_gpu_memory_mb": (99.0, "MB", 2),
        "energy_j": (2500.0, "J", 2),
        "gpu_sharers": (3.0, "processes", 2),
    }
    assert set(table["mark"]) == {4}
    assert set(table["better"]) == {"down"}
