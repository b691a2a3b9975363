"""The S3 server and the proxy of the tests of the store, for tests that start jobs."""

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

S3 = Path(__file__).parents[1] / "s3"
sys.path += [str(S3), str(S3.parents[1])]

from faulty import Chance, Fault, FaultyProxy  # noqa: E402, F401

from tests.free_ports import free_ports  # noqa: E402

_spec = importlib.util.spec_from_file_location("s3_server_of_tests", S3 / "conftest.py")
_tests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tests)

UPLOAD = r"/cells/.*\.parquet"
"""Requests that put a table of a cell."""
KEYS = {"accessKey": "test-key", "secretKey": "test-secret"}


def is_installed():
    """Whether there is a server to start."""
    return _tests.server_program() is not None


@contextlib.contextmanager
def server():
    """Environment variables with which clients reach an S3 server that has an empty bucket."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "writer", "credentials": [KEYS], "actions": actions}
    ports = free_ports(2 * len(_tests.PARTS))
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[2 * _tests.PARTS.index('s3')]}",
        "AWS_ACCESS_KEY_ID": KEYS["accessKey"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secretKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with tempfile.TemporaryDirectory(prefix="chaos-weed-") as name:
        folder = Path(name)
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [_tests.server_program(), "mini", *_tests._options(folder, ports)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            _tests._wait_for(process, environment, folder / "log")
            yield environment
        finally:
            _tests._stop(process, ports)


def uploader(arena, proxy):
    """The process that puts the cell of the last request that was made slow; None if it is over."""
    key = proxy.struck("slow")[-1].path.split("/cells/")[1].split("/")[1]
    events = [event for event in arena.diary("put", "committed") if event["key"] == key]
    return events[-1]["pid"] if events and events[-1]["what"] == "put" else None
