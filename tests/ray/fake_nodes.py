"""What workers run in the tests of the sweep."""

import os
import signal
import time
from pathlib import Path


def run(payload, storage):
    """Note beginning and end in the storage folder; do as the payload says."""
    folder = Path(storage)
    note(folder, "begin", payload["key"])
    if payload.get("fail"):
        raise ValueError(f"no\nluck with {payload['key']}")
    lost = folder / f"lost-{payload['key']}"
    if payload.get("lose_worker") == "always" or (
        payload.get("lose_worker") == "once" and not lost.exists()
    ):
        lost.touch()
        os._exit(1)
    stuck = folder / f"stuck-{payload['key']}"
    if payload.get("stuck") and not stuck.exists():
        stuck.touch()
        STUCK[payload["stuck"]]()
    if payload.get("wait_for"):
        wait_for(folder, payload["wait_for"])
    note(folder, "end", payload["key"])
    return {"label": payload["key"], "seconds": 0.0, "status": "done"}


STUCK = {
    "hangs": lambda: time.sleep(600),
    "frozen": lambda: time.sleep(2) or os.kill(os.getpid(), signal.SIGSTOP),
}
"""Goes on reporting without getting anywhere; does not even report."""


def wait_for(folder, name):
    """Until another node has begun; two minutes at most, then this one fails."""
    end = time.monotonic() + 120
    while name not in begun(folder):
        if time.monotonic() > end:
            raise TimeoutError(f"{name} did not begin beside this node")
        time.sleep(0.05)


def note(folder, what, key):
    with (folder / "diary").open("a") as file:
        file.write(f"{what} {key} {os.getpid()}\n")


def diary(folder):
    """Lines ``what key pid`` in the order in which they were written."""
    path = folder / "diary"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def begun(folder):
    return [key for what, key, _ in diary(folder) if what == "begin"]
