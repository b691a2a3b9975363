"""What Ray says of lost workers, by kind."""

import pytest

from erase_ray.distributed.loss import kind_of
from erase_ray.experiment.dispatch import NODE, WORKER
from erase_ray.experiment.walk import MEMORY


@pytest.mark.parametrize(
    ("said", "kind", "line"),
    [
        (
            "The actor died because its node has died. Node Id: 5f",
            NODE,
            "its machine is gone, or does not answer",
        ),
        ("The actor 2b is unavailable: RPC error", NODE, "its machine is gone, or does not answer"),
        (
            "Task was killed due to the node running low on memory.",
            MEMORY,
            "its worker was ended because the machine ran out of memory",
        ),
        (
            "The actor died. Worker exit detail: Worker unexpectedly exits.\nEnd of file. "
            "Some common causes include: (1) OOM killer",
            WORKER,
            "its worker died: Worker unexpectedly exits. End of file.",
        ),
        ("", WORKER, "its worker died"),
    ],
)
def test_kinds(said, kind, line):
    assert kind_of(said) == (kind, line)
