"""Join the cluster that is there, or start Ray on this machine."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from erase_ray.distributed import quiet

quiet.apply()

import ray  # noqa: E402

from erase_ray.errors import EraseError  # noqa: E402

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES = 200_000_000
TIMEOUT_S = 5.0
NOTE = Path("ray", "ray_current_cluster")
"""Where ``ray start`` notes the address of the cluster, below Ray's temporary folder."""


class ClusterError(EraseError):
    """A Ray cluster that was named and does not answer, or cannot be started."""


@dataclass(frozen=True)
class Cluster:
    """What there is to run on.

    Args:
        started: True if this process started it, and so stops it.
        cpus: Of all nodes.
        gpus: Of all nodes.
        memory: Bytes for workers, of all nodes.
        largest: Bytes for workers on the node that has most.
    """

    started: bool
    cpus: int
    gpus: float
    memory: int
    largest: int


@contextmanager
def connected(cpus: int | None = None) -> Iterator[Cluster]:
    """A Ray cluster for the length of the block.

    It is the one this process is connected to; else the one of ``RAY_ADDRESS``; else the one that
    ``ray start`` started on this machine; else a new one here, which ends with the block.

    Args:
        cpus: CPUs of a new one; all of this machine by default.

    Raises:
        ClusterError: ``RAY_ADDRESS`` does not answer, or Ray cannot be started.
    """
    if ray.is_initialized():
        yield measured()
        return
    address = named_address() or noted_address()
    _connect(address) if address else _start(cpus or os.cpu_count() or 1)
    try:
        yield measured(started=not address)
    finally:
        ray.shutdown()


def named_address() -> str | None:
    """What ``RAY_ADDRESS`` says, if anything but ``auto`` or ``local``.

    Raises:
        ClusterError: Nothing answers there; Ray itself would go on trying for many minutes.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "auto", "local"):
        return None
    if not _answers(address):
        raise ClusterError(f"no Ray cluster answers at {address}; see RAY_ADDRESS")
    return address


def noted_address() -> str | None:
    """Address of the cluster that ``ray start`` last started here, if something answers there."""
    if os.environ.get("RAY_ADDRESS") == "local":
        return None
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / NOTE
    try:
        address = note.read_text().strip()
    except OSError:
        return None
    return address if _answers(address) else None


def _answers(address: str) -> bool:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT_S).close()
    except (OSError, ValueError):
        return False
    return True


def _connect(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"no Ray cluster answers at {address}: {_line(error)}") from error
    logger.info("connected to the Ray cluster at %s", address)


def _start(cpus: int) -> None:
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise ClusterError(f"Ray cannot be started on this machine: {_line(error)}") from error
    logger.info("started Ray with %d CPUs", cpus)


def measured(started: bool = False) -> Cluster:
    """What the cluster has now that this process is connected to."""
    total = ray.cluster_resources()
    per_node = [node["Resources"].get("memory", 0.0) for node in ray.nodes() if node["Alive"]]
    return Cluster(
        started=started,
        cpus=int(total.get("CPU", 1)),
        gpus=total.get("GPU", 0.0),
        memory=int(total.get("memory", 0)),
        largest=int(max(per_node, default=0)),
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
