"""What a run has taken, beside what it was expected to take, and how long the rest will take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from erase_ray.experiment.progress import PRIOR_S
from erase_ray.report.status.history import FINISHED, Outcome, Session, alive_seconds
from erase_ray.report.status.nodes import LEFT, RUNNING, NodeInfo, States
from erase_ray.report.status.pace import REQUEST, RunningNode

HOUR_S = 3600.0


@dataclass(frozen=True)
class Spent:
    """Work, time and money; None where it is not known.

    Args:
        gpu_hours: Of all GPUs together.
        cpu_hours: Of nodes that use no GPU.
        seconds: With a driver at work.
        dollars: If all machines of the grid are paid in this time.
    """

    gpu_hours: float | None = None
    cpu_hours: float | None = None
    seconds: float | None = None
    dollars: float | None = None


@dataclass(frozen=True)
class Spending:
    """What was spent, and what was planned when the last driver began.

    Args:
        total: Since the run was first started.
        latest: Since the last driver began.
        planned: What was left then.
        num_sessions: How many drivers there were.
    """

    total: Spent
    latest: Spent
    planned: Spent
    num_sessions: int


def spending(
    drivers: Sequence[Session],
    ended: Iterable[Outcome],
    nodes: Mapping[str, NodeInfo],
    estimate: Mapping[str, Any],
) -> Spending:
    """What was spent and what was planned.

    Args:
        drivers: In the order in which they began.
        ended: Every try that ended, of every driver.
        nodes: By key.
        estimate: ``estimate.json`` of the run; may be empty.
    """
    listed = list(ended)
    price = estimate.get("dollars_per_hour")
    has_gpus = bool(estimate.get("gpu_hours")) or any(o.device == "cuda" for o in listed)
    last = drivers[-1].writer if drivers else ""
    latest = [outcome for outcome in listed if outcome.session == last]
    return Spending(
        total=_spent(drivers, _work(listed, nodes, has_gpus), price),
        latest=_spent(drivers[-1:], _work(latest, nodes, has_gpus), price),
        planned=Spent(
            estimate.get("gpu_hours"),
            estimate.get("cpu_hours"),
            estimate.get("makespan_s"),
            estimate.get("dollars"),
        ),
        num_sessions=len(drivers),
    )


def time_left(
    nodes: Mapping[str, NodeInfo],
    states: States,
    ended: Iterable[Outcome],
    running: Iterable[RunningNode],
    slots: int,
) -> float:
    """Seconds until the run is over: the plan's own, scaled by how far off they were so far.

    The larger of what is left over all places, and the longest chain of nodes.

    Args:
        nodes: By key, parents before children.
        states: What has become of them.
        ended: Every try that ended.
        running: What runs now; where it tells how long its requests take, that counts.
        slots: Nodes that run at a time.
    """
    known = [o for o in ended if o.what == FINISHED and o.seconds is not None and o.key in nodes]
    measured = sum(outcome.seconds or 0.0 for outcome in known)
    expected = sum(nodes[outcome.key].seconds for outcome in known)
    scale = (measured + PRIOR_S) / (expected + PRIOR_S)
    left = {
        key: scale * node.seconds
        for key, node in nodes.items()
        if states.of(node) in (LEFT, RUNNING)
    }
    for node in running:
        expected_s = left.get(node.key, 0.0) - (node.gone_s or 0.0)
        is_told = node.pace.unit == REQUEST and node.pace.left_s is not None
        left[node.key] = (node.pace.left_s or 0.0) if is_told else max(0.0, expected_s)
    path: dict[str, float] = {}
    for key, seconds in left.items():
        parents = nodes[key].parents if key in nodes else ()
        before = (path[parent] for parent in parents if parent in path)
        path[key] = seconds + max(before, default=0.0)
    return max(sum(left.values()) / max(1, slots), *path.values(), 0.0)


def _spent(
    drivers: Sequence[Session],
    work: tuple[float, float],
    price: float | None,
) -> Spent:
    gpu_s, cpu_s = work
    seconds = alive_seconds((session.began, session.seen) for session in drivers)
    paid = None if price is None else seconds / HOUR_S * price
    return Spent(gpu_s / HOUR_S, cpu_s / HOUR_S, seconds, paid)


def _work(
    ended: Iterable[Outcome], nodes: Mapping[str, NodeInfo], has_gpus: bool
) -> tuple[float, float]:
    """Seconds of whole GPUs, and of nodes that use none; tries that came to nothing as well."""
    gpu = cpu = 0.0
    for outcome in ended:
        seconds = outcome.seconds or 0.0
        is_on_gpu = has_gpus and outcome.device != "cpu" and outcome.key in nodes
        share = nodes[outcome.key].gpu_share if is_on_gpu else 0.0
        gpu += share * seconds
        cpu += 0.0 if share else seconds
    return gpu, cpu
