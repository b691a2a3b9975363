"""Ports for the servers of tests."""

import contextlib
import os
import random
import socket

FIRST, EACH, WORKERS = 20_000, 1_000, 12
"""Below the ports that a system gives to whoever does not ask for one."""


def free_ports(number: int) -> list[int]:
    """Ports of this machine on which nobody listens.

    A server takes them some seconds later. So that no other program gets them meanwhile, they are
    not the system's choice, and each worker of pytest-xdist looks among a thousand of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + EACH * (worker % WORKERS)
    found: list[int] = []
    with contextlib.ExitStack() as sockets:
        for port in random.sample(range(first, first + EACH), EACH):
            if len(found) == number:
                break
            own = sockets.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                own.bind(("127.0.0.1", port))
                found.append(port)
    assert len(found) == number, f"no {number} free ports from {first} on"
    return found
