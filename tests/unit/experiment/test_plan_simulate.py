"""A cluster that is made up, and the real dispatcher on it."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from plan_toys import diamond, node

from erase_ray.experiment.grid import load_grid
from erase_ray.experiment.plan import Plan, build
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.schedule import Bound
from erase_ray.experiment.simulate import Machines, Pace, Simulation

GRIDS = Path(__file__).parents[3] / "jobs" / "grids"
AT_ONCE = Pace(startup_s=0, reuse_s=0)


def on_gpus(*shares, seconds=10.0):
    nodes = [node(f"n{i}", seconds=seconds) for i in range(len(shares))]
    return Plan(
        replace(one, cost=replace(one.cost, gpu_share=share))
        for one, share in zip(nodes, shares, strict=True)
    )


def machine(**changes):
    return Machine(**({"slots": 8, "gpus": 2, "count": 2} | changes))


def test_as_by_hand_on_one_machine():
    found = Simulation(diamond(), machine(slots=2, gpus=0, count=1), AT_ONCE).run()
    assert (found.makespan, found.bound.seconds, found.ratio) == (14, 14, 1)
    assert (found.tries, found.lost) == (5, 0)
    assert found.busy == {"CPU": 21 / 28}


def test_parts_of_two_gpus_do_not_add_up():
    # 0.75 of each GPU is free of what is there, yet no whole one
    found = Simulation(on_gpus(0.5, 0.5, 1.0), machine(), AT_ONCE).run()
    assert found.makespan == 10  # halves share a GPU: the least is left over
    free = Machines(2, 4, 1, math.inf)
    assert [place[0] for place in free.place([{"CPU": 1, "GPU": 0.25}]) or []] == [0]
    free.gpu_NG[1, 0] = 0.75
    assert free.place([{"CPU": 1, "GPU": 1.0}]) is None
    assert free.place([{"CPU": 1, "GPU": 0.75}]) is not None


def test_all_bundles_or_none():
    free = Machines(2, 2, 0, math.inf)
    assert free.place([{"CPU": 1}] * 5) is None
    assert free.free["CPU"].tolist() == [2, 2]
    places = free.place([{"CPU": 1}] * 4)
    assert places is not None
    assert sorted(place[0] for place in places) == [0, 0, 1, 1]
    free.leave(places)
    assert free.free["CPU"].tolist() == [2, 2]


def test_workers_are_reused_for_nodes_of_their_class():
    pace = Pace(startup_s=5, reuse_s=1)
    plan = Plan([node(f"n{i}", seconds=10) for i in range(3)])
    found = Simulation(plan, machine(slots=1, gpus=0, count=1), pace).run()
    assert found.makespan == 5 + 10 + 2 * (1 + 10)
    assert found.started == 1


def test_a_driver_hands_out_one_after_the_other():
    plan = Plan([node(f"n{i}", seconds=10) for i in range(3)])
    pace = Pace(startup_s=0, reuse_s=0, offer_s=2)
    assert Simulation(plan, machine(gpus=0), pace).run().makespan == 3 * 2 + 10


def test_lost_machines_cost_what_the_journal_does_not_have():
    plan = Plan([node("a", seconds=3600)])
    pace = Pace(startup_s=0, reuse_s=0, losses_per_hour=4, boot_s=100, journal_s=60)
    found = Simulation(plan, machine(slots=1, gpus=0, count=1), pace).run()
    assert found.lost >= 1
    assert found.tries == 1 + found.lost
    assert 3600 + 100 * found.lost < found.makespan <= 3600 + 160 * found.lost


def test_what_fits_nowhere_is_told():
    plan = on_gpus(1.0)
    plan = Plan(replace(one, cost=replace(one.cost, memory_mb=1)) for one in plan.nodes.values())
    simulation = Simulation(plan, machine(slots=2, gpus=2), AT_ONCE)
    simulation.machines = Machines(2, 0, 1, math.inf)
    with pytest.raises(RuntimeError, match="label of n0 fits on no machine"):
        simulation.run()


def test_ratio_of_nothing():
    plan = diamond(data=True, base=True, long=True, short=True, alone=True)
    found = Simulation(plan, machine()).run()
    assert found.bound == Bound({}, 0.0)
    assert found.ratio == 1


@pytest.fixture(scope="module")
def part_of_the_full_grid():
    grid = load_grid(GRIDS / "full.yaml", "task=cf,fraction=0.0001")
    few = grid.machine.model_copy(update={"slots": 192, "gpus": 16, "memory_gb": 2304, "count": 2})
    return build(grid.cells, None, few), few


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_a_cluster_is_filled_well(part_of_the_full_grid, sigma):
    """A list schedule of one resource takes at most work over capacity + the longest chain (Graham,
    1969); here there are several resources and borders between machines, yet no more is needed."""
    plan, few = part_of_the_full_grid
    assert len(plan.pending()) > 1000

    def seconds(one):
        return one.cost.seconds * math.exp(random.Random(one.key).gauss(0, sigma))

    found = Simulation(plan, few, AT_ONCE, seconds).run()
    assert found.tries == len(plan.pending())
    assert found.bound.seconds <= found.makespan
    assert found.makespan <= max(found.bound.work.values()) + found.bound.path
