"""Why a worker was lost, as far as Ray tells."""

from erase_ray.experiment.dispatch import NODE, WORKER
from erase_ray.experiment.walk import MEMORY

_MEMORY = ("low on memory", "OutOfMemoryError")
_NODE = ("node has died", "node died", "node was", "owner has died", "unavailable", "preempted")


def kind_of(error: str) -> tuple[str, str]:
    """The kind of a loss (see :data:`erase_ray.experiment.dispatch.LIMITS`), and a line on it.

    Args:
        error: What Ray said.
    """
    text = " ".join(error.split())
    if any(sign in text for sign in _MEMORY):
        return MEMORY, "its worker was ended because the machine ran out of memory"
    if any(sign in text for sign in _NODE):
        return NODE, "its machine is gone, or does not answer"
    detail = text.partition("Some common causes")[0].rpartition("exit detail:")[2].strip()
    return WORKER, f"its worker died: {detail[-300:]}" if detail else "its worker died"
