"""How long it takes at least, and about."""

from dataclasses import replace

import pytest
from plan_toys import diamond, node

from erase_ray.experiment.plan import Plan
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.room import Classes
from erase_ray.experiment.schedule import lower_bound, makespan


def both(plan, **machine):
    room = Classes(plan.pending(), Machine(**machine))
    return lower_bound(plan, room), makespan(plan, room)


@pytest.mark.parametrize(
    ("slots", "bound", "cause", "span"), [(1, 21, "CPU", 21), (2, 14, "longest chain", 14)]
)
def test_by_hand(slots, bound, cause, span):
    found, took = both(diamond(), slots=slots)
    assert (found.seconds, found.cause, took) == (bound, cause, span)


def test_work_waits_for_what_it_needs():
    # 1 s before 8 s of work on two CPUs; two chains of 3 s do not show it
    leaves = [node(f"n{i}", "first", seconds=2) for i in range(4)]
    found, took = both(Plan([node("first", seconds=1), *leaves]), slots=2)
    assert (found.work["CPU"], found.path, took) == (5, 3, 5)


def test_work_comes_before_what_waits_for_it():
    # four times 2 s on two CPUs, each before the same last second
    roots = [node(f"n{i}", seconds=2) for i in range(4)]
    last = node("last", *(root.key for root in roots), seconds=1)
    found, took = both(Plan([*roots, last]), slots=2)
    assert (found.work["CPU"], found.path, took) == (5, 3, 5)


def test_gpus_are_counted_by_share():
    nodes = [node(f"n{i}", seconds=8) for i in range(6)]
    nodes = [replace(one, cost=replace(one.cost, gpu_share=0.5)) for one in nodes]
    found, took = both(Plan(nodes), slots=16, gpus=1)
    assert found.work == {"CPU": 3, "GPU": 24}
    assert (found.cause, took) == ("GPU", 24)


def test_nothing_is_left():
    plan = diamond(data=True, base=True, long=True, short=True, alone=True)
    found, took = both(plan, slots=2)
    assert (found.seconds, took) == (0, 0)
