"""Machines, what they have and what they cost."""

import pytest

from erase_ray.errors import SettingsError
from erase_ray.experiment.prices import Machine, known_instances
from erase_ray.settings import checked

OWN = {"cpus": 6, "memory_gb": 48, "gpus": 2, "gpu_gb": 24, "on_demand": 4.0, "spot": 1.5}


def test_an_instance_stands_for_its_numbers():
    machine = Machine(instance="own", count=3, prices={"own": OWN})
    assert (machine.cpus, machine.gpus, machine.gpu_mb) == (18, 6, 24_000)
    assert (machine.memory, machine.largest) == (144_000_000_000, 48_000_000_000)
    assert machine.dollars_per_hour == 4.5
    paid = Machine(instance="own", count=3, spot=False, prices={"own": OWN})
    assert paid.dollars_per_hour == 12
    never = Machine(instance="own", prices={"own": OWN | {"spot": 0}})
    assert never.dollars_per_hour == 4


def test_what_is_said_beside_an_instance_wins():
    machine = Machine(instance="own", count=3, slots=5, dollars_per_hour=1, prices={"own": OWN})
    assert (machine.slots, machine.gpus, machine.dollars_per_hour) == (5, 6, 1)


def test_own_prices_come_before_the_table():
    assert Machine(instance="g5.xlarge").cpus == 4
    assert Machine(instance="g5.xlarge", prices={"g5.xlarge": OWN}).cpus == 6


def test_the_table_is_plausible():
    for name, kind in known_instances().items():
        assert 0 < kind.spot < kind.on_demand, name
        assert kind.memory_gb > 0, name


def test_an_unknown_instance_is_named():
    expected = (
        r"machine: : Value error, no price of 'g5.xlarg' is known \(did you mean 'g5.xlarge'\?\)\. "
        r"Known: a2-highgpu-1g, "
    )
    with pytest.raises(SettingsError, match=expected):
        checked(Machine, {"instance": "g5.xlarg"}, "machine")


def test_a_machine_without_memory_has_no_limit():
    assert Machine(slots=2).memory == Machine(slots=2).largest == 0
