"""What a plan will take, as numbers and as a few lines of text."""

from collections.abc import Iterable
from typing import Any

from erase_ray.experiment.plan import BASE, DATA, Node, Plan
from erase_ray.experiment.prices import Machine
from erase_ray.experiment.room import Classes
from erase_ray.experiment.schedule import lower_bound, makespan

FIRST = (DATA, BASE, "original")


def estimate(plan: Plan, machine: Machine) -> dict[str, Any]:
    """What the pending part of a plan will take; all but the counts rough, plain JSON values.

    ``cells`` and ``kinds`` count; ``gpu_hours`` and ``cpu_hours`` are work, the latter of what uses
    no GPU; ``dollars`` pay for all machines until the end, ``dollars_least`` for those in use
    alone; ``critical_path_s``, ``bound_s`` (what no order can beat, and ``bound_by`` what that is)
    and ``makespan_s`` are time; ``stored_bytes`` and ``largest_mb`` are space.
    """
    pending = plan.pending()
    room = Classes(pending, machine)
    bound, span = lower_bound(plan, room), makespan(plan, room)
    gpu, cpu = _hours(pending, room)
    per_second = machine.dollars_per_hour / 3600
    used = max((3600 * gpu / machine.gpus) if machine.gpus else 0.0, 3600 * cpu / machine.cpus)
    return {
        "cells": _counts(plan.requested),
        "kinds": {kind: _counts(nodes) for kind, nodes in _by_kind(plan).items()},
        "gpu_hours": gpu,
        "cpu_hours": cpu,
        "dollars": span * per_second,
        "dollars_least": used * per_second,
        "dollars_per_hour": machine.dollars_per_hour,
        "critical_path_s": bound.path,
        "bound_s": bound.seconds,
        "bound_by": bound.cause,
        "makespan_s": span,
        "slots": room.slots,
        "stored_bytes": sum(node.cost.stored_bytes for node in pending),
        "largest_mb": max((node.cost.memory_mb for node in pending), default=0),
    }


def summary(plan: Plan, machine: Machine) -> str:
    """:func:`estimate` as text."""
    found = estimate(plan, machine)
    return "\n".join(
        [
            *_table(found),
            f"{_hours_text(found, machine)}; about {_money(found)} at "
            f"${machine.dollars_per_hour:.2f} an hour{_whose(machine)}",
            f"critical path {duration(found['critical_path_s'])}, at least "
            f"{duration(found['bound_s'])} ({found['bound_by']}), all of it about "
            f"{duration(found['makespan_s'])} with {found['slots']} at a time",
            f"up to {found['stored_bytes'] / 1e9:.2f} GB of weights and results; largest cell "
            f"{found['largest_mb'] / 1000:.1f} GB of memory",
        ]
    )


def dollars(plan: Plan, machine: Machine) -> float:
    """What the pending part of the plan costs, roughly, if all machines are paid until the end."""
    span = makespan(plan, Classes(plan.pending(), machine))
    return span / 3600 * machine.dollars_per_hour


def duration(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _hours(nodes: list[Node], room: Classes) -> tuple[float, float]:
    gpu = cpu = 0.0
    for node in nodes:
        claims = room.claims(node)
        if claims.get("GPU"):
            gpu += claims["GPU"] * node.cost.seconds
        else:
            cpu += claims["CPU"] * node.cost.seconds
    return gpu / 3600, cpu / 3600


def _hours_text(found: dict[str, Any], machine: Machine) -> str:
    if not machine.gpus:
        return f"{found['cpu_hours']:.2f} CPU-hours, no GPU"
    return f"{found['gpu_hours']:.2f} GPU-hours, {found['cpu_hours']:.2f} CPU-hours beside them"


def _money(found: dict[str, Any]) -> str:
    return (
        f"${found['dollars']:.2f} (${found['dollars_least']:.2f} if idle machines are given back)"
    )


def _whose(machine: Machine) -> str:
    return f" for {machine.count} {machine.instance}" if machine.instance else ""


def _by_kind(plan: Plan) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in plan.nodes.values():
        found.setdefault(node.kind, []).append(node)
    order = sorted(found, key=lambda k: (FIRST.index(k) if k in FIRST else len(FIRST), k))
    return {kind: found[kind] for kind in order}


def _counts(nodes: Iterable[Node]) -> dict[str, Any]:
    found = {"all": 0, "done": 0, "to_run": 0, "minutes": 0.0}
    for node in nodes:
        found["all"] += 1
        found["done"] += node.done
        if node.needed:
            found["to_run"] += 1
            found["minutes"] += node.cost.seconds / 60
    return found


def _table(found: dict[str, Any]) -> list[str]:
    cells = found["cells"]
    return [
        f"{cells['all']} cells: {cells['done']} done, {cells['to_run']} to run",
        f"  {'':<15} {'all':>6} {'done':>6} {'to run':>6} {'minutes':>10}",
        *(
            f"  {kind:<15} {row['all']:>6} {row['done']:>6} {row['to_run']:>6} "
            f"{row['minutes']:>10.1f}"
            for kind, row in found["kinds"].items()
        ),
    ]
