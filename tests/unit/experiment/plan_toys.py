"""Plans made by hand."""

from erase_ray.experiment.cost import Estimate
from erase_ray.experiment.plan import Node, Plan


def node(key, *parents, seconds=1.0, done=False, requested=True, memory_mb=100, **payload) -> Node:
    return Node(
        key=key,
        kind="scif",
        label=f"label of {key}",
        payload={"key": key} | payload,
        parents=parents,
        cost=Estimate(seconds, memory_mb, 0.0, 1000),
        requested=requested,
        done=done,
    )


def diamond(**done: bool) -> Plan:
    """``data`` before ``base`` before ``long`` (10 s) and ``short`` (2 s); ``alone`` (5 s)."""
    return Plan(
        [
            node("data", requested=False, done=done.get("data", False)),
            node("base", "data", seconds=3, requested=False, done=done.get("base", False)),
            node("long", "base", "data", seconds=10, done=done.get("long", False)),
            node("short", "base", "data", seconds=2, done=done.get("short", False)),
            node("alone", "data", seconds=5, done=done.get("alone", False)),
        ]
    )
