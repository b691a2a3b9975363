"""A plan as a few lines of text."""

from collections import Counter

from erase_ray.experiment.cost import GPU_SPEEDUP
from erase_ray.experiment.grid_file import Machine
from erase_ray.experiment.plan import BASE, DATA, Node, Plan

FIRST = (DATA, BASE, "original")


def summary(plan: Plan, machine: Machine) -> str:
    """Cells by kind, hours, price, bytes and the time it will take; all but the counts rough."""
    pending = plan.pending()
    path, span = plan.critical_path, plan.makespan(machine.slots)
    if machine.gpus:
        path, span = path / GPU_SPEEDUP, span / GPU_SPEEDUP
    stored = sum(node.cost.stored_bytes for node in pending)
    largest = max((node.cost.memory_mb for node in pending), default=0)
    return "\n".join(
        [
            *_table(plan),
            f"{hours_text(plan, machine)}; about ${dollars(plan, machine):.2f} at "
            f"${machine.dollars_per_hour:.2f} an hour",
            f"critical path {duration(path)}, all of it about {duration(span)} with "
            f"{machine.slots} at a time",
            f"up to {stored / 1e9:.2f} GB of weights and results; largest cell "
            f"{largest / 1000:.1f} GB of memory",
        ]
    )


def dollars(plan: Plan, machine: Machine) -> float:
    """What the pending part of the plan costs, roughly."""
    hours = plan.makespan(machine.slots) / 3600
    return hours / (GPU_SPEEDUP if machine.gpus else 1) * machine.dollars_per_hour


def hours_text(plan: Plan, machine: Machine) -> str:
    """CPU-hours and GPU-hours of the pending part, as text."""
    pending = plan.pending()
    if not machine.gpus:
        return f"{sum(node.cost.seconds for node in pending) / 3600:.2f} CPU-hours, no GPU"
    gpu = sum(node.cost.seconds * node.cost.gpu_share for node in pending) / GPU_SPEEDUP
    cpu = sum(node.cost.seconds for node in pending if not node.cost.gpu_share)
    return f"{gpu / 3600:.2f} GPU-hours, {cpu / 3600:.2f} CPU-hours beside them"


def duration(seconds: float) -> str:
    """``1:02:03``, or ``2:03`` under an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _table(plan: Plan) -> list[str]:
    asked = plan.requested
    todo = sum(node.needed for node in asked)
    head = f"{len(asked)} cells: {sum(node.done for node in asked)} done, {todo} to run"
    rows = [f"  {'':<12} {'all':>6} {'done':>6} {'to run':>6} {'minutes':>8}"]
    by_kind: dict[str, list[Node]] = {}
    for node in plan.nodes.values():
        by_kind.setdefault(node.kind, []).append(node)
    for kind in sorted(by_kind, key=lambda k: (FIRST.index(k) if k in FIRST else len(FIRST), k)):
        nodes = by_kind[kind]
        counts = Counter(done=sum(n.done for n in nodes), run=sum(n.needed for n in nodes))
        minutes = sum(node.cost.seconds for node in nodes if node.needed) / 60
        rows.append(
            f"  {kind:<12} {len(nodes):>6} {counts['done']:>6} {counts['run']:>6} {minutes:>8.1f}"
        )
    return [head, *rows]
